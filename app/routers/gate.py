"""The gate before what others serve: nginx, Traefik or Caddy ask it whether to let a request in.

Their names for it are auth_request, forwardAuth and forward_auth: 2xx lets the request in, and
anything else is shown to the client instead (by nginx not quite: see ``waiting``).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import Response

from app.containers.fleet import Fleet
from app.errors import ContainerError, ContainerFailed, ContainerSlow, ContainerUnknown
from app.middleware.container_routes import GLANCE, wants_page
from app.middleware.waiting_page import STANDING, waiting_response
from app.routers.operators import REFUSALS, operators_only
from app.routers.problems import PROBLEM, problem_of, problem_response, refusals
from app.runtime import Runtime

_CAUSE = "a visit"
_USUAL_WAIT = 30.0
_NOT_YET: dict[int | str, dict[str, Any]] = {
    503: {
        "description": "It is not up yet: a problem, or a page for browsers",
        "content": {**PROBLEM, "text/html": {}},
    }
}


def gate_routes(runtime: Runtime) -> APIRouter:
    """``/automation/gate/…``, for operators only: it wakes containers, and keeps them up."""
    operator = Depends(operators_only(runtime.operators))
    router = APIRouter(
        prefix="/automation/gate",
        tags=["Operators"],
        dependencies=[operator],
        responses={**REFUSALS, **refusals(404)},
    )
    longest = runtime.settings.container_startup_timeout
    patience = Query(
        min(_USUAL_WAIT, longest),
        ge=0.0,
        le=longest,
        description="Seconds to wait for it. A browser is shown the page after a moment.",
    )

    @router.head("/{name}", include_in_schema=False)
    @router.get(
        "/{name}",
        summary="May a request go to this container? Wakes it, and counts as use",
        status_code=204,
        responses=_NOT_YET,
    )
    async def gate(name: str, request: Request, wait: float = patience) -> Response:
        within = min(wait, GLANCE) if wants_page(request.scope) else wait
        error = await _let_in(runtime.fleet, name, within)
        return Response(status_code=204) if error is None else _refusal(error, request)

    @router.head("/{name}/waiting", include_in_schema=False)
    @router.get(
        "/{name}/waiting",
        summary="What to show instead, for a proxy that does not pass on what the gate said",
        status_code=503,
        responses=_NOT_YET,
    )
    async def waiting(name: str, request: Request) -> Response:
        error = await _let_in(runtime.fleet, name, 0.0)
        if error is None:
            # Who asks for this was not let in, so that to ask again is all that is left.
            error = ContainerSlow(name, f"{name} has just come up: ask again", retry_after=1.0)
        return _refusal(error, request)

    return router


async def _let_in(fleet: Fleet, name: str, within: float) -> ContainerError | None:
    """Wake it, which counts as use; why it is not ready. Raises ``ContainerUnknown``."""
    try:
        await fleet.ready(name, within, _CAUSE)
    except ContainerUnknown:
        raise
    except ContainerError as error:
        return error
    return None


def _refusal(error: ContainerError, request: Request) -> Response:
    if wants_page(request.scope):
        return waiting_response(error, elsewhere=True)
    problem = replace(problem_of(error), status=503, title="A container is not up")
    response = problem_response(problem, request.scope)
    response.headers[STANDING] = "failed" if isinstance(error, ContainerFailed) else "waking"
    return response

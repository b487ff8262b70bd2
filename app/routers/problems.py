"""Errors as responses: ``application/problem+json`` (RFC 9457), from this one place."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import orjson
import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import (
    AutomationOff,
    ContainerError,
    ContainerInUse,
    ContainerSlow,
    ContainerUnknown,
    DrawbridgeError,
    JobBusy,
    RequestRefused,
    StoreError,
    SyncError,
    UpstreamError,
)
from app.records.change import CursorGone

_log = structlog.get_logger(__name__)
_BEGIN_ANEW = (
    "What came between cannot be told: read what you need at its own path, then go on with"
    " after=now; or take what is left with after=oldest."
)


@dataclass(frozen=True, slots=True)
class Problem:
    """What a client is told: ``title`` is the same for every case of its kind, ``detail`` not."""

    status: int
    title: str
    detail: str
    headers: Mapping[str, str] = field(default_factory=dict)


def problem_of(error: Exception) -> Problem:
    """The problem that an error is to the client. Errors that are not ours tell no details."""
    match error:
        case RequestRefused():
            return Problem(error.status, error.title, error.detail, error.headers)
        case UpstreamError():
            detail = f"Nothing is known yet, and the upstream gives nothing: {error.detail}"
            return Problem(502, "The upstream failed", detail, _retry_after(error.retry_after))
        case ContainerError():
            return _problem_with_container(error)
        case CursorGone():
            return Problem(410, "These changes are gone", f"{error}. {_BEGIN_ANEW}")
        case StoreError():
            return Problem(503, "The store is not there", str(error), _retry_after(5.0))
        case JobBusy():
            return Problem(409, "The job is running", str(error), _retry_after(60.0))
        case SyncError():
            return Problem(502, "The job failed", str(error))
        case RequestValidationError():
            return Problem(422, "Parameters are wrong", _validation_detail(error))
        case HTTPException():
            title = HTTPStatus(error.status_code).phrase
            return Problem(error.status_code, title, str(error.detail), dict(error.headers or {}))
        case _:
            detail = "Something here is broken; the log has more under this request's id."
            return Problem(500, "Internal error", detail)


def _problem_with_container(error: ContainerError) -> Problem:
    match error:
        case ContainerUnknown():
            return Problem(404, "No such container", error.detail)
        case ContainerInUse():
            return Problem(409, "A container is in use", error.detail)
        case ContainerSlow():
            headers = _retry_after(error.retry_after)
            return Problem(504, "A container is too slow", error.detail, headers)
        case AutomationOff():
            headers = _retry_after(error.retry_after)
            return Problem(503, "Automation is off", error.detail, headers)
    headers = _retry_after(error.retry_after or 5.0)
    return Problem(503, "A container is not up", error.detail, headers)


def problem_response(problem: Problem, scope: Scope) -> Response:
    """The response for ``problem``, as an answer to the request in ``scope``."""
    body = {
        "type": "about:blank",
        "title": problem.title,
        "status": problem.status,
        "detail": problem.detail,
        "instance": scope["path"],
        "request_id": scope.get("state", {}).get("request_id"),
    }
    return Response(
        orjson.dumps(body),
        problem.status,
        {"cache-control": "no-store", "x-content-type-options": "nosniff", **problem.headers},
        "application/problem+json",
    )


PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
"""The content of a refusal, in an OpenAPI description."""

_REFUSALS = {
    400: "The request cannot be read.",
    401: "No key that is known, in `X-API-Key`.",
    403: "Without keys set this answers this machine only.",
    404: "There is no such thing.",
    405: "Not with this method.",
    409: "Not as things stand now.",
    410: "It is no longer kept.",
    412: "It has another tag by now.",
    413: "The body is too large.",
    414: "The URL is too long.",
    422: "Parameters are wrong.",
    429: "You are too fast.",
    431: "The header fields are too large.",
    502: "The upstream failed, and nothing is known.",
    503: "Something that is needed is not up yet.",
    504: "It did not come up in time.",
}
EVERYWHERE = (400, 405, 413, 414, 422, 429, 431, 503)
"""With these any request may be refused, before it is known what it asks."""


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The description of refusals with ``statuses``, for a route's ``responses``."""
    return {one: {"description": _REFUSALS[one], "content": PROBLEM} for one in statuses}


class Problems:
    """The outermost layer that answers: whatever is raised inside becomes a problem."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def send_and_note(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, send_and_note)
        except DrawbridgeError as error:
            if started:
                raise
            await problem_response(problem_of(error), scope)(scope, receive, send)
        except Exception as error:
            # The boundary of the process: one broken request must not take others with it.
            _log.exception("a request failed", path=scope["path"])
            if started:
                raise
            await problem_response(problem_of(error), scope)(scope, receive, send)


def install(app: FastAPI, nearest: Callable[[str], str | None]) -> None:
    """Make FastAPI's own errors problems too; ``nearest`` finds the path that was meant."""

    async def respond(request: Request, error: Exception) -> Response:
        problem = problem_of(error)
        if problem.status == 404 and "route" not in request.scope:
            problem = _unknown_path(request.url.path, nearest)
        return problem_response(problem, request.scope)

    for kind in (DrawbridgeError, RequestValidationError, HTTPException):
        app.add_exception_handler(kind, respond)


def _unknown_path(path: str, nearest: Callable[[str], str | None]) -> Problem:
    guess = nearest(path)
    hint = f"Did you mean {guess}? " if guess else ""
    return Problem(404, "No such path", f"{hint}All paths are listed at /docs.")


def _retry_after(seconds: float | None) -> dict[str, str]:
    return {"retry-after": str(max(1, math.ceil(seconds)))} if seconds is not None else {}


def _validation_detail(error: RequestValidationError) -> str:
    return "; ".join(
        f"{'.'.join(str(part) for part in one['loc'])}: {one['msg']}" for one in error.errors()[:5]
    )

"""The operators' page: its files for everybody, and what it shows for operators only."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from app.console.files import PAGE, PageFile, page_files
from app.routers.health import glance
from app.routers.operators import REFUSALS, operators_only
from app.routers.sync import describe
from app.runtime import Runtime

_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        # The script makes text of what it is told, never markup; so nothing may.
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    # Kept, but asked for every time: a page and a script of two versions do not fit.
    "cache-control": "no-cache",
}


def console_routes(runtime: Runtime) -> APIRouter:
    """``/console``, its files, and ``/console/overview``."""
    router = APIRouter(prefix="/console", tags=["Operators"])
    allowed = Depends(operators_only(runtime.operators))

    @router.get(
        "/overview",
        summary="All that the operators' page shows",
        dependencies=[allowed],
        responses=REFUSALS,
    )
    async def overview() -> dict[str, Any]:
        books = await runtime.books.report()
        scheduler = runtime.upkeep.scheduler
        jobs = scheduler.jobs.values() if scheduler else ()
        return {
            "health": glance(runtime),
            "containers": [asdict(view) for view in runtime.fleet.views()],
            "answers": runtime.metrics.cache_answers(),
            "savings": {"since": books["since"], "totals": books["totals"]},
            "jobs": [describe(job, scheduler) for job in jobs] if scheduler else [],
        }

    for name, file in page_files(needs_key=runtime.operators.are_set).items():
        for path in ("", "/") if name == PAGE else (f"/{name}",):
            router.add_api_route(
                path, _giver(file), methods=["GET", "HEAD"], include_in_schema=False
            )
    return router


def _giver(file: PageFile) -> Callable[[Request], Awaitable[Response]]:
    headers = {**_HEADERS, "etag": file.etag}

    async def give(request: Request) -> Response:
        if file.etag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return Response(file.body, headers=headers, media_type=file.media_type)

    return give

"""Containers for operators: look, wake, put to sleep, follow."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import orjson
from fastapi import APIRouter, Depends
from starlette.responses import StreamingResponse

from app.containers.fleet import Fleet
from app.routers.event_stream import (
    EventStreams,
    Pieces,
    SseResponse,
    StreamRules,
    dropped,
    event,
)
from app.routers.operators import REFUSALS, operators_only
from app.routers.problems import refusals
from app.runtime import Runtime

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def automation_routes(runtime: Runtime) -> APIRouter:
    """``/automation/…``, for operators only."""
    # It is asked once for each request, however often it is named.
    operator = Depends(operators_only(runtime.operators))
    router = APIRouter(
        prefix="/automation", tags=["Operators"], dependencies=[operator], responses=REFUSALS
    )
    fleet = runtime.fleet
    streams = EventStreams(runtime.stopping, StreamRules())

    @router.get("/containers", summary="All containers that opted in")
    async def containers() -> dict[str, Any]:
        return {"containers": [asdict(view) for view in fleet.views()]}

    @router.get("/containers/{name}", summary="One container", responses=refusals(404))
    async def container(name: str) -> dict[str, Any]:
        return asdict(fleet.view(name))

    @router.post(
        "/containers/{name}/wake",
        summary="Wake it and wait until it is ready",
        responses=refusals(404, 504),
    )
    async def wake(name: str, who: str = operator) -> dict[str, Any]:
        await fleet.ready(name, runtime.settings.container_startup_timeout, who)
        return asdict(fleet.view(name))

    @router.post(
        "/containers/{name}/sleep",
        summary="Put it to sleep, unless it is in use",
        responses=refusals(404, 409),
    )
    async def sleep(name: str, who: str = operator) -> dict[str, Any]:
        await fleet.sleep(name, who)
        return asdict(fleet.view(name))

    @router.post("/idle-check", summary="Put to sleep what is idle, now")
    async def idle_check() -> dict[str, list[str]]:
        return {"put_to_sleep": await fleet.idle_check()}

    @router.get("/report", summary="The books: who was awake, woken for what, kept up by what")
    async def report() -> dict[str, Any]:
        return await runtime.books.report()

    @router.get(
        "/events",
        summary="Changes of state as they happen (SSE)",
        response_class=SseResponse,
    )
    async def events() -> StreamingResponse:
        return streams.of(_happenings(fleet))

    return router


async def _happenings(fleet: Fleet) -> Pieces:
    async with fleet.subscribe() as happenings:
        yield b": the states now, then every change\n\n"
        for view in fleet.views():
            yield event("state", _json(view))
        async for change in happenings:
            yield event("change", _json(change))
        yield dropped("you read too slowly; connect again")


def _json(told: DataclassInstance) -> bytes:
    return orjson.dumps(asdict(told), default=str)

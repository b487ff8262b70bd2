"""Containers for operators: look, wake, put to sleep, follow."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Any

import orjson
from fastapi import APIRouter, Depends
from starlette.responses import StreamingResponse

from app.containers.fleet import Fleet
from app.routers.operators import operators_only
from app.runtime import Runtime

_HEARTBEAT = 15.0


def automation_routes(runtime: Runtime) -> APIRouter:
    """``/automation/…``, for operators only."""
    # It is asked once for each request, however often it is named.
    operator = Depends(operators_only(runtime.settings.admin_api_keys))
    router = APIRouter(prefix="/automation", tags=["Operators"], dependencies=[operator])
    fleet = runtime.fleet

    @router.get("/containers", summary="All containers that opted in")
    async def containers() -> dict[str, Any]:
        return {"containers": [asdict(view) for view in fleet.views()]}

    @router.get("/containers/{name}", summary="One container")
    async def container(name: str) -> dict[str, Any]:
        return asdict(fleet.view(name))

    @router.post("/containers/{name}/wake", summary="Wake it and wait until it is ready")
    async def wake(name: str, who: str = operator) -> dict[str, Any]:
        await fleet.ready(name, runtime.settings.container_startup_timeout, who)
        return asdict(fleet.view(name))

    @router.post("/containers/{name}/sleep", summary="Put it to sleep, unless it is in use")
    async def sleep(name: str, who: str = operator) -> dict[str, Any]:
        await fleet.sleep(name, who)
        return asdict(fleet.view(name))

    @router.post("/idle-check", summary="Put to sleep what is idle, now")
    async def idle_check() -> dict[str, list[str]]:
        return {"put_to_sleep": await fleet.idle_check()}

    @router.get("/report", summary="The books: who was awake, woken for what, kept up by what")
    async def report() -> dict[str, Any]:
        return await runtime.books.report()

    @router.get("/events", summary="Changes of state as they happen (SSE)")
    async def events() -> StreamingResponse:
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        return StreamingResponse(_stream(fleet), headers=headers, media_type="text/event-stream")

    return router


async def _stream(fleet: Fleet) -> AsyncIterator[bytes]:
    """Server-sent events, with a heartbeat so that dead connections are noticed."""
    async with fleet.subscribe() as happenings:
        yield b": the states now, then every change\n\n"
        for view in fleet.views():
            yield _event("state", asdict(view))
        waiting = asyncio.ensure_future(anext(happenings))
        try:
            while True:
                done, _ = await asyncio.wait({waiting}, timeout=_HEARTBEAT)
                if not done:
                    yield b": still here\n\n"
                    continue
                try:
                    yield _event("change", asdict(waiting.result()))
                except StopAsyncIteration:
                    yield _event("dropped", {"reason": "you read too slowly; connect again"})
                    return
                waiting = asyncio.ensure_future(anext(happenings))
        finally:
            waiting.cancel()


def _event(name: str, data: dict[str, Any]) -> bytes:
    return b"event: " + name.encode() + b"\ndata: " + orjson.dumps(data, default=str) + b"\n\n"

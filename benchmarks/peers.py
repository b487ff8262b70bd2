"""What the gateway is compared with: the same bytes, sent by less, or in the usual way."""

from __future__ import annotations

import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from fastapi import FastAPI, Request
from starlette.middleware.base import (
    BaseHTTPMiddleware,  # noqa: TID251 - the usual way is to be measured
)
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

PATH = "/clan-tiers"
"""An operation of the upstream that needs no parameter, and whose answer may be any list."""


def document(size: int) -> dict[str, Any]:
    """An answer in the upstream's shape that takes ``size`` bytes as compact JSON, or a bit more.

    Its rows are like the real ones: many short fields, numbers written as text.
    """
    rows: list[dict[str, Any]] = []
    length = len(b'{"clanTiers":[]}')
    while length < size:
        number = len(rows) + 1
        row = {
            "id": str(number),
            "name": f"Tier {number}",
            "price": str(number * 10**18),
            "maxMemberCapacity": number % 50,
            "isEnabled": number % 3 > 0,
        }
        rows.append(row)
        length += len(orjson.dumps(row)) + 1
    return {"clanTiers": rows}


def bare(size: int) -> ASGIApp:
    """An ASGI application that does nothing but send the bytes, whatever the path."""
    payload = orjson.dumps(document(size))
    start = {
        "type": "http.response.start",
        "status": 200,
        "headers": [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(payload)).encode()),
        ],
    }
    body = {"type": "http.response.body", "body": payload}

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await send(start)
            await send(body)

    return app


def route(size: int) -> ASGIApp:
    """A FastAPI route that sends the bytes."""
    payload = orjson.dumps(document(size))
    app = FastAPI()

    @app.get(PATH)
    async def clan_tiers() -> Response:
        return Response(payload, media_type="application/json")

    return app


def usual(size: int) -> ASGIApp:
    """How it is usually done: a route that returns objects, and two middlewares around it."""
    rows = document(size)
    app = FastAPI()

    async def with_id(request: Request, call: Callable[[Request], Awaitable[Response]]) -> Response:
        response = await call(request)
        response.headers["x-request-id"] = uuid.uuid4().hex
        return response

    async def with_time(
        request: Request, call: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        began = time.perf_counter()
        response = await call(request)
        response.headers["x-process-time"] = f"{time.perf_counter() - began:.6f}"
        return response

    app.add_middleware(BaseHTTPMiddleware, dispatch=with_id)
    app.add_middleware(BaseHTTPMiddleware, dispatch=with_time)

    @app.get(PATH)
    async def clan_tiers() -> dict[str, Any]:
        return rows

    return app


PEERS: dict[str, Callable[[int], ASGIApp]] = {
    "bare uvicorn": bare,
    "FastAPI route": route,
    "FastAPI, the usual way": usual,
}
"""By the name in the table: what makes the application that sends a body of some size."""

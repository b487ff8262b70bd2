"""A gateway and an upstream, both in this process and both on real sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.config import load_settings
from app.main import create_app
from app.runtime import open_runtime
from app.serving import address, beside, bind


@dataclass
class Told:
    """An upstream that says what it is told, and writes down what it is asked."""

    status: int = 200
    body: bytes | None = None
    """``None``: the path's own envelope with nothing in it."""
    content_type: str = "application/json; charset=utf-8"
    headers: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    seen_headers: list[dict[str, str]] = field(default_factory=list)

    async def answer(self, request: Request) -> Response:
        query = request.scope["query_string"].decode()
        path = request.scope["raw_path"].decode()
        self.asked.append(f"{request.method} {path}" + (f"?{query}" if query else ""))
        self.bodies.append(await request.body())
        self.seen_headers.append(dict(request.headers))
        body = self.body if self.body is not None else b'{"rows":[]}'
        return Response(body, self.status, self.headers, self.content_type)


@asynccontextmanager
async def upstream_of(told: Told) -> AsyncIterator[str]:
    """Its base URL."""
    routes = [Route("/{path:path}", told.answer, methods=["GET", "POST"])]
    listening = bind("127.0.0.1", 0)
    async with beside(listening, Starlette(routes=routes)):
        yield address(listening)


@asynccontextmanager
async def gateway_on(
    upstream: str, folder: Path, at_port: int = 0, /, **settings: Any
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a gateway with ``settings`` (by field name), its data in ``folder``.

    ``at_port``: where another one was before; else any port that is free.
    """
    wanted = {
        "estfor_api_url": upstream,
        "data_dir": folder,
        "mongodb_uri": None,
        "docker_host": f"unix://{folder}/no-engine.sock",
        "access_log": False,
        "sync_enabled": False,
        "_env_file": None,
        **settings,
    }
    async with open_runtime(load_settings(**wanted)) as runtime:
        listening = bind("127.0.0.1", at_port)
        async with (
            beside(listening, create_app(runtime), on_stop=runtime.stopping.set),
            httpx.AsyncClient(base_url=address(listening), timeout=30) as client,
        ):
            yield client

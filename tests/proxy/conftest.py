"""A server, and in front of it something that passes everything on: both on real sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from urllib.parse import urlsplit

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from app.proxy.forward import Forwarder
from app.proxy.target import Target, Unanswered
from app.serving import address, beside, bind

Fronted = Callable[[ASGIApp], AbstractAsyncContextManager[str]]


@pytest.fixture
def fronted() -> Fronted:
    """The base URL of a front to an application."""

    @asynccontextmanager
    async def opened(app: ASGIApp) -> AsyncIterator[str]:
        behind, before = bind("127.0.0.1", 0), bind("127.0.0.1", 0)
        port = urlsplit(address(behind)).port or 0
        async with Forwarder(silence=5.0) as forwarder:

            async def front(scope: Scope, receive: Receive, send: Send) -> None:
                if scope["type"] == "lifespan":
                    raise RuntimeError("none here")
                target = Target("127.0.0.1", port, "10.0.0.9", "an-id")
                try:
                    await forwarder.forward(target, scope, receive, send)
                except Unanswered:
                    await send({"type": "http.response.start", "status": 599, "headers": []})
                    await send({"type": "http.response.body", "body": b""})

            async with beside(behind, app), beside(before, front):
                yield address(before)

    return opened

"""Gives every request an id: the client's own if it is a decent one, else a new one."""

from __future__ import annotations

import re
from collections.abc import Iterable

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.cause import caused_by, new_id

_DECENT = re.compile(rb"[A-Za-z0-9._:/+=-]{1,128}")


class RequestId:
    """Sets ``scope["state"]["request_id"]``, the log's ``request_id`` and ``X-Request-ID``."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = request_id_of(scope["headers"])
        scope.setdefault("state", {})["request_id"] = request_id

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["x-request-id"] = request_id
            await send(message)

        with caused_by(request_id=request_id):
            await self._app(scope, receive, send_with_id)


def request_id_of(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """The request's own id, if it brought a decent one, or a new one."""
    for name, value in headers:
        if name == b"x-request-id" and (own := decent_id(value)):
            return own
    return new_id()


def decent_id(value: bytes) -> str | None:
    """The id that a client sent, if it may stand in a header field and in a log."""
    return value.decode("ascii") if _DECENT.fullmatch(value) else None

"""The smallest applications and callers that a layer can be tested with."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send


@dataclass
class Heard:
    """What a caller heard."""

    messages: list[Message] = field(default_factory=list)

    @property
    def status(self) -> int:
        return int(self.messages[0]["status"])

    @property
    def headers(self) -> dict[str, str]:
        return {name.decode(): value.decode() for name, value in self.messages[0]["headers"]}

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.messages[1:])


def http_scope(path: str = "/", **extra: Any) -> Scope:
    """The scope of a GET request."""
    return {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [],
        "client": ("127.0.0.1", 4000),
        **extra,
    }


async def call(app: ASGIApp, scope: Scope, body: Iterable[bytes] = ()) -> Heard:
    """Send a request with a body in pieces, and hear the whole answer."""
    pieces = list(body) or [b""]
    heard = Heard()

    async def receive() -> Message:
        piece = pieces.pop(0)
        return {"type": "http.request", "body": piece, "more_body": bool(pieces)}

    async def send(message: Message) -> None:
        heard.messages.append(message)

    await app(scope, receive, send)
    return heard


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """An application that answers with the body that it was sent."""
    received, more = b"", True
    while more:
        message = await receive()
        received += message["body"]
        more = message["more_body"]
    await PlainTextResponse(received)(scope, receive, send)

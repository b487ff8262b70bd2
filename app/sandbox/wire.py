"""Answers on the wire: the right ones, and those that a fault asks for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any

import orjson

from app.errors import RequestRefused

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

LONGEST = 600.0
"""Seconds after which even what hangs or never ends is over."""
MOST_BODY = 10_000_000
_CHUNK = b'{"id":"0","tokenId":"0"},' * 2500
_JSON = "application/json; charset=utf-8"
_PAGE = b"<!doctype html><title>Sandbox</title><h1>This is not the API you asked for</h1>\n"


async def read_body(receive: Receive) -> bytes:
    """The request's body. Raises ``RequestRefused`` (413) if it is too long."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        part: bytes = message.get("body", b"")
        parts.append(part)
        size += len(part)
        if size > MOST_BODY:
            raise RequestRefused(413, "Content Too Large", f"more than {MOST_BODY} bytes")
        if not message.get("more_body"):
            return b"".join(parts)


async def send_json(
    send: Send, body: bytes, *, status: int = 200, headers: dict[str, str] | None = None
) -> None:
    """A JSON body that is there already."""
    await _start(send, status, {"content-type": _JSON, "content-length": str(len(body))}, headers)
    await send({"type": "http.response.body", "body": body})


async def send_problem(send: Send, problem: RequestRefused) -> None:
    """An error, in the shape that web frameworks of the upstream's kind give it."""
    body = {"statusCode": problem.status, "error": problem.title, "message": problem.detail}
    await send_json(send, orjson.dumps(body), status=problem.status, headers=problem.headers)


async def send_page(send: Send) -> None:
    """A page of HTML, as proxies and parked domains answer."""
    headers = {"content-type": "text/html; charset=utf-8", "content-length": str(len(_PAGE))}
    await _start(send, 200, headers)
    await send({"type": "http.response.body", "body": _PAGE})


async def send_truncated(send: Send, body: bytes) -> None:
    """Half of what ``Content-Length`` says. The server cuts a connection that is not finished."""
    await _start(send, 200, {"content-type": _JSON, "content-length": str(len(body) + 2)})
    await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})


async def send_endless(receive: Receive, send: Send, envelope: str) -> None:
    """A list that goes on until the client gives up."""
    await _start(send, 200, {"content-type": _JSON})
    begin = b'{"' + envelope.encode() + b'":['
    await send({"type": "http.response.body", "body": begin, "more_body": True})
    gone = asyncio.ensure_future(wait_until_gone(receive))
    try:
        while not gone.done():
            await send({"type": "http.response.body", "body": _CHUNK, "more_body": True})
            # A server that has lost its client takes what is sent without ever waiting.
            await asyncio.sleep(0)
    finally:
        gone.cancel()
        with suppress(asyncio.CancelledError):
            await gone


async def wait_until_gone(receive: Receive, longest: float = LONGEST) -> None:
    """Wait until the client has given up, or ``longest`` seconds."""
    with suppress(TimeoutError):
        async with asyncio.timeout(longest):
            while (await receive())["type"] != "http.disconnect":
                pass


async def _start(
    send: Send, status: int, headers: dict[str, str], more: dict[str, str] | None = None
) -> None:
    pairs = [
        (name.lower().encode("latin-1"), value.encode("latin-1"))
        for name, value in {**headers, **(more or {})}.items()
    ]
    await send({"type": "http.response.start", "status": status, "headers": pairs})

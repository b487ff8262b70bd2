"""Passes requests on to a server behind the gateway, piece by piece, both ways.

Nothing is held back or read as a whole: a download, an upload and a stream of events cost the
same few buffers.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Self

import aiohttp
from starlette.types import Message, Receive, Scope, Send

from app.proxy.headers import has_body, to_client
from app.proxy.target import Target, Unanswered
from app.proxy.websocket import carry_websocket

CONNECT_SECONDS = 5.0
_PIECE = 64 * 1024
_AT_ONCE = 1_000
"""Requests to one server that are under way at the same time; more wait for a connection."""


class Forwarder:
    """Owns the connections. ``silence``: seconds that a server may say nothing at all."""

    def __init__(self, *, silence: float) -> None:
        self._silence = silence

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, limit_per_host=_AT_ONCE),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            # What the client did not send is not sent for it.
            skip_auto_headers=("Accept", "Accept-Encoding", "User-Agent", "Content-Type"),
            timeout=aiohttp.ClientTimeout(
                total=None, sock_connect=CONNECT_SECONDS, sock_read=self._silence
            ),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def forward(self, target: Target, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request in ``scope`` with what the server says.

        Raises ``Unanswered`` as long as nothing was sent. Later the connection to the client is
        broken off, which is how it learns that the answer is not complete.
        """
        if scope["type"] == "websocket":
            await carry_websocket(self._session, target, scope, receive, send)
            return
        inbox = _Inbox(receive)
        working = asyncio.ensure_future(self._exchange(target, scope, inbox, send))
        leaving = asyncio.ensure_future(inbox.left.wait())
        try:
            await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                working.result()
        finally:
            for task in (working, leaving):
                task.cancel()
            inbox.close()
            await asyncio.gather(working, leaving, return_exceptions=True)

    async def _exchange(self, target: Target, scope: Scope, inbox: _Inbox, send: Send) -> None:
        with_body = has_body(scope["headers"])
        if not with_body:
            inbox.watch()
        started = False
        try:
            async with self._session.request(
                scope["method"],
                target.url(scope, "http"),
                headers=target.headers(scope),
                data=inbox.body() if with_body else None,
                allow_redirects=False,
            ) as response:
                start: Message = {"type": "http.response.start", "status": response.status}
                await send({**start, "headers": to_client(response.raw_headers)})
                started = True
                await _pass_on(response, send)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            if started:
                raise ConnectionAbortedError(f"the answer broke off: {error!r}") from None
            raise Unanswered(str(error) or type(error).__name__) from None


async def _pass_on(response: aiohttp.ClientResponse, send: Send) -> None:
    async for piece in response.content.iter_any():
        for at in range(0, len(piece), _PIECE):
            body = piece[at : at + _PIECE]
            await send({"type": "http.response.body", "body": body, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


class _Inbox:
    """What comes from the client: the pieces of its body, and that it has left."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._watching: asyncio.Task[None] | None = None
        self.left = asyncio.Event()

    async def body(self) -> AsyncIterator[bytes]:
        more = True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                self.left.set()
                raise ConnectionAbortedError("the client left")
            if message.get("body"):
                yield message["body"]
            more = message.get("more_body", False)
        self.watch()

    def watch(self) -> None:
        """Everything is read: from now on there is nothing to hear but that the client leaves."""
        self._watching = asyncio.create_task(self._until_left(), name="client watch")

    def close(self) -> None:
        if self._watching is not None:
            self._watching.cancel()

    async def _until_left(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.left.set()

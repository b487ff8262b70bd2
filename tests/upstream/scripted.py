"""An upstream that plays scripted bytes over a real socket, and counts what it was asked."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Received:
    """One request as it came over the wire; header names in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


class Wire:
    """The server's end of one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def until_client_leaves(self) -> None:
        """Stay silent until the client closes the connection."""
        while await self._reader.read(65536):
            pass

    def reset(self) -> None:
        """Close with an RST instead of a FIN."""
        raw: socket.socket = self._writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()


Play = Callable[[Wire], Awaitable[bool]]
"""Answers one request; whether the connection stays open for the next."""


def reply(status: int = 200, body: bytes = b'{"players":[]}', **headers: str) -> Play:
    """A whole answer with a right Content-Length; ``retry_after="3"`` is a header of it."""
    fields = {"content-type": "application/json", "content-length": str(len(body))}
    fields |= {name.replace("_", "-"): value for name, value in headers.items()}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return raw(f"HTTP/1.1 {status} Whatever\r\n{head}\r\n".encode() + body)


def raw(data: bytes, *, then: str = "keep") -> Play:
    """These bytes, and then ``keep`` the connection, ``close`` it, ``reset`` it, or ``hang``."""

    async def play(wire: Wire) -> bool:
        if data:
            await wire.send(data)
        if then == "hang":
            await wire.until_client_leaves()
        if then == "reset":
            wire.reset()
        return then == "keep"

    return play


def stream(head: bytes, piece: bytes, *, count: int | None = None, pause: float = 0.0) -> Play:
    """``head``, then ``piece`` ``count`` times (``None``: until the client goes away)."""

    async def play(wire: Wire) -> bool:
        await wire.send(head)
        sent = 0
        while count is None or sent < count:
            await wire.send(piece)
            sent += 1
            await asyncio.sleep(pause)
        return True

    return play


def when(released: asyncio.Event, play: Play) -> Play:
    """``play``, once ``released`` is set."""

    async def wait(wire: Wire) -> bool:
        await released.wait()
        return await play(wire)

    return wait


@dataclass
class ScriptedUpstream:
    """Plays one script entry a request; the last one is played for all that follow.

    What ``at`` has for a path is played there, again and again, instead of the script.
    """

    base_url: str = ""
    script: list[Play] = field(default_factory=lambda: [reply()])
    at: dict[str, Play] = field(default_factory=dict)
    requests: list[Received] = field(default_factory=list)
    connections: int = 0
    open_now: int = 0
    under_way: int = 0
    most_at_once: int = 0
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)

    def plays(self, *script: Play) -> None:
        self.script = list(script)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        self.connections += 1
        self.open_now += 1
        try:
            while await self._one(reader, Wire(reader, writer)):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client hung up: that is its right, and what some tests wait for
        finally:
            self.open_now -= 1
            self._writers.discard(writer)
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, wire: Wire) -> bool:
        received = await _read_request(reader)
        self.requests.append(received)
        play = self.at.get(received.target.partition("?")[0]) or self._next()
        self.under_way += 1
        self.most_at_once = max(self.most_at_once, self.under_way)
        try:
            return await play(wire)
        finally:
            self.under_way -= 1

    def _next(self) -> Play:
        return self.script.pop(0) if len(self.script) > 1 else self.script[0]

    async def aclose(self) -> None:
        for writer in list(self._writers):
            writer.transport.abort()
        await until(lambda: not self._writers)


async def _read_request(reader: asyncio.StreamReader) -> Received:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, target, _ = head[0].split(" ")
    headers = {}
    for line in head[1:]:
        name, _, value = line.partition(":")
        if name:
            headers[name.lower()] = value.strip()
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Received(method, target, headers, body)


@asynccontextmanager
async def scripted_upstream() -> AsyncIterator[ScriptedUpstream]:
    """A server on a free port of the loopback; every connection is ended with it."""
    upstream = ScriptedUpstream()
    server = await asyncio.start_server(upstream.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    upstream.base_url = f"http://127.0.0.1:{port}"
    try:
        yield upstream
    finally:
        server.close()
        await upstream.aclose()
        await server.wait_closed()


async def until(condition: Callable[[], bool], within: float = 5.0) -> None:
    """Return once ``condition`` holds; fail when it does not within that many seconds."""
    async with asyncio.timeout(within):
        while not condition():
            await asyncio.sleep(0.002)

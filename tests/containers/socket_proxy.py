"""A socket proxy in front of the engine: it can be cut, so that nobody else's engine dies, and it
lets through only what it was told to, as the proxies do that people put there.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from pathlib import Path

_DENIED = b'{"message":"the socket proxy does not allow this call"}'
_NO = b"HTTP/1.1 403 Forbidden\r\nContent-Type: application/json\r\nContent-Length: %d\r\n"


class SocketProxy:
    """Passes requests between a socket of its own and the engine's. ``cut`` ends all of them.

    ``allowed`` are calls as the documentation writes them, ``GET /containers/ID/json``; ``None``
    allows all. ``made`` are the calls that were made, written in the same way, and ``denied`` those
    that were answered with 403. ``connections`` counts, ``most_at_once`` remembers.
    """

    def __init__(self, path: Path, engine: Path, allowed: Iterable[str] | None = None) -> None:
        self.host = f"unix://{path}"
        self.made: set[str] = set()
        self.denied: list[str] = []
        self.connections = 0
        self.most_at_once = 0
        self._allowed = None if allowed is None else frozenset(allowed)
        self._path = path
        self._engine = engine
        self._server: asyncio.Server | None = None
        self._pipes: set[asyncio.Task[None]] = set()

    async def restore(self) -> None:
        """Accept connections (again)."""
        self._path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._serve, str(self._path))

    async def cut(self) -> None:
        """Accept no more, and break what is open, as a dying engine does."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self._path.unlink(missing_ok=True)
        await self.cut_connections()

    async def cut_connections(self) -> None:
        """Break what is open; new connections are welcome."""
        pipes = tuple(self._pipes)
        for pipe in pipes:
            pipe.cancel()
        await asyncio.gather(*pipes, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._pipes.add(task)
        try:
            await self._pass(reader, writer)
        except (OSError, EOFError, asyncio.CancelledError, ExceptionGroup):
            # Cut, by us or by either end: all that is left is to close both.
            pass
        finally:
            self._pipes.discard(task)
            writer.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.connections += 1
        self.most_at_once = max(self.most_at_once, len(self._pipes))
        call = call_of(head)
        self.made.add(call)
        if self._allowed is not None and call not in self._allowed:
            self.denied.append(call)
            writer.write(_NO % len(_DENIED) + b"Connection: close\r\n\r\n" + _DENIED)
            await writer.drain()
            return
        back, there = await asyncio.open_unix_connection(str(self._engine))
        try:
            there.write(_only_one(head))
            async with asyncio.TaskGroup() as pipes:
                pipes.create_task(_pump(reader, there))
                pipes.create_task(_pump(back, writer))
        finally:
            there.close()


def call_of(head: bytes) -> str:
    """Method and path of a request, without the API's version, with ``ID`` for a container."""
    method, target, _ = head.decode("latin-1").split(" ", 2)
    path = re.sub(r"^/v\d+\.\d+(?=/)", "", target.partition("?")[0])
    return f"{method} {re.sub(r'^/containers/(?!json$)[^/]+', '/containers/ID', path)}"


def _only_one(head: bytes) -> bytes:
    """The same request as the connection's last, so that none slips by behind it."""
    kept = re.sub(rb"(?im)^connection:.*\r\n", b"", head)
    return kept[:-2] + b"Connection: close\r\n\r\n"


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    while data := await source.read(65536):
        sink.write(data)
        await sink.drain()
    if sink.can_write_eof():
        sink.write_eof()

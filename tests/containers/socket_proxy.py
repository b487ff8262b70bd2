"""A socket proxy in front of the engine that can be cut, so that nobody else's engine dies."""

from __future__ import annotations

import asyncio
from pathlib import Path


class SocketProxy:
    """Passes bytes between a socket of its own and the engine's. ``cut`` ends all of them."""

    def __init__(self, path: Path, engine: Path) -> None:
        self.host = f"unix://{path}"
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
        there: asyncio.StreamWriter | None = None
        try:
            back, there = await asyncio.open_unix_connection(str(self._engine))
            async with asyncio.TaskGroup() as pipes:
                pipes.create_task(_pump(reader, there))
                pipes.create_task(_pump(back, writer))
        except (OSError, asyncio.CancelledError, ExceptionGroup):
            # Cut, by us or by either end: all that is left is to close both.
            pass
        finally:
            self._pipes.discard(task)
            writer.close()
            if there is not None:
                there.close()


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    while data := await source.read(65536):
        sink.write(data)
        await sink.drain()
    if sink.can_write_eof():
        sink.write_eof()

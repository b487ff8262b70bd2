"""One SQLite file for any number of stores: one writer, a few readers, no thread of the loop.

Everybody who writes puts work into a line; the writer's thread takes what has gathered there and
commits it in one transaction, so a hundred waiting writes cost one commit. Readers run beside it
on connections of their own (WAL). What is written when ``write`` returns survives the death of the
process.

A store is made with a ``SqliteFile`` and closes it when it is closed itself. Stores that live in
one file are given a ``share()`` each: the file is closed with the last of them.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from copy import copy
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import structlog

from app.errors import StoreUnavailable
from app.storage.sqlite_connections import (
    Connection,
    Connections,
    Damaged,
    Migrations,
    in_one_transaction,
    in_one_view,
)

__all__ = ["SCAN", "Connection", "Migrations", "SqliteFile"]

_log = structlog.get_logger(__name__)
T = TypeVar("T")

SCAN = 10
"""How many times the limit of one call a walk over everything may take."""

_READERS = 4
_BATCH = 256


class SqliteFile:
    """The file ``path``, made on first use, folders included, with the tables of ``migrations``.

    One call takes at most ``timeout`` seconds unless told otherwise, the time in line included;
    ``max_waiting`` calls may be under way, more are refused. Everything that goes wrong is a
    ``StoreError``, or ``StoreUnavailable`` when the file as a whole cannot be used.
    """

    def __init__(
        self,
        path: Path,
        migrations: Migrations,
        *,
        timeout: float = 5.0,
        max_waiting: int = 10_000,
        clock: Callable[[], float] = time.time,
    ) -> None:
        # Half, so that the engine's own reason is heard before our deadline cuts it off.
        self._desk = _Desk(Connections(path, migrations, timeout / 2, clock), max_waiting)
        self.timeout = timeout
        self._closed = False

    def share(self) -> SqliteFile:
        """The same file for another store, which closes its share and not the file."""
        self._is_open()
        self._desk.users += 1
        return copy(self)

    async def read(self, work: Callable[[Connection], T], seconds: float | None = None) -> T:
        """What ``work`` makes of a connection, in a thread, beside those who write.

        It must not write. All that it reads is of one moment.
        """
        self._is_open()
        return await self._desk.read(work, self.timeout if seconds is None else seconds)

    async def write(self, work: Callable[[Connection], T], seconds: float | None = None) -> T:
        """What ``work`` makes of a connection, in the writer's thread and in a transaction.

        The transaction is shared with others that wait; what ``work`` raises is raised here and
        undoes only what ``work`` did. It may be called more than once, the last time counts.
        """
        self._is_open()
        return await self._desk.write(work, self.timeout if seconds is None else seconds)

    async def ping(self) -> None:
        """Return if the file can be read and written now."""
        await self.write(_touch)

    async def aclose(self) -> None:
        """Give the file back, after everything that stands in line. A second time is no matter."""
        first, self._closed = not self._closed, True
        if first:
            await self._desk.leave(self.timeout * SCAN)

    def _is_open(self) -> None:
        if self._closed:
            raise StoreUnavailable(f"{self._desk.path} was closed")


@dataclass(slots=True)
class _Write:
    work: Callable[[Connection], Any]
    done: Future[Any] = field(default_factory=Future)


class _Desk:
    """The line before the one writer, and the readers; ``users`` share it."""

    def __init__(self, file: Connections, max_waiting: int) -> None:
        self.path = file.path
        self.users = 1
        self._file = file
        self._max_waiting = max_waiting
        self._waiting = 0
        self._line: deque[_Write] = deque()
        self._writer = ThreadPoolExecutor(1, "sqlite-writer")
        self._readers = ThreadPoolExecutor(_READERS, "sqlite-reader")

    async def read(self, work: Callable[[Connection], T], seconds: float) -> T:
        async with self._turn(seconds):
            loop = asyncio.get_running_loop()
            try:
                view = partial(in_one_view, work)
                return await loop.run_in_executor(self._readers, self._file.use, view)
            except Damaged:
                # Only the writer repairs, between two transactions; it answers this as well.
                return await self._in_line(work)

    async def write(self, work: Callable[[Connection], T], seconds: float) -> T:
        async with self._turn(seconds):
            return await self._in_line(work)

    async def leave(self, seconds: float) -> None:
        self.users -= 1
        if self.users:
            return
        try:
            async with asyncio.timeout(seconds):
                await asyncio.to_thread(self._wind_up)
        except TimeoutError:
            _log.warning("a database file did not close in time", path=str(self.path))

    def _wind_up(self) -> None:
        self._writer.shutdown()  # after everything that stands in line
        self._readers.shutdown()
        self._file.close()

    async def _in_line(self, work: Callable[[Connection], T]) -> T:
        write = _Write(work)
        self._line.append(write)
        self._writer.submit(self._commit_line)
        result: T = await asyncio.wrap_future(write.done)
        return result

    @asynccontextmanager
    async def _turn(self, seconds: float) -> AsyncIterator[None]:
        if self._waiting >= self._max_waiting:
            raise StoreUnavailable(f"{self._waiting} calls are waiting for {self.path}")
        self._waiting += 1
        try:
            async with asyncio.timeout(seconds):
                yield
        except TimeoutError:
            raise StoreUnavailable(f"{self.path} did not answer within {seconds:g} s") from None
        finally:
            self._waiting -= 1

    def _commit_line(self) -> None:
        batch: list[_Write] = []
        while self._line and len(batch) < _BATCH:
            write = self._line.popleft()
            if write.done.set_running_or_notify_cancel():
                batch.append(write)
        if batch:
            self._commit(batch)

    def _commit(self, batch: Sequence[_Write]) -> None:
        works = [write.work for write in batch]
        try:
            results = self._use_repaired(partial(in_one_transaction, works))
        except Exception as error:  # noqa: BLE001 (handed to whoever waits)
            if len(batch) > 1 and not isinstance(error, StoreUnavailable):
                for write in batch:  # one that cannot be done must not take the others down
                    self._commit([write])
            else:
                for write in batch:
                    write.done.set_exception(error)
        else:
            for write, result in zip(batch, results, strict=True):
                write.done.set_result(result)

    def _use_repaired(self, work: Callable[[Connection], T]) -> T:
        try:
            return self._file.use(work)
        except Damaged as found:
            self._file.set_aside(found.identity)
            return self._file.use(work)


def _touch(connection: Connection) -> None:
    """Nothing: that the transaction could be begun says that the file can be written."""

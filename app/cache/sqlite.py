"""The embedded response store: one SQLite file, one writer, a few readers, no thread of the loop.

Everybody who writes puts work into a line; the writer's thread takes what has gathered there and
commits it in one transaction, so a hundred waiting ``put`` calls cost one commit. Readers run
beside it on connections of their own (WAL). The file is made, brought up to date and, should it be
damaged, moved aside and started anew by whoever opens it: answers can be fetched again, but a file
is never thrown away and never replaced without a line in the log.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import structlog

from app.cache.quarantine import Identity, alone_with, identity_of, quarantine
from app.cache.store import Entry, StoreStats, entry_of, record_of
from app.errors import StoreError, StoreUnavailable

_log = structlog.get_logger(__name__)
T = TypeVar("T")

_READERS = 4
_BATCH = 256
_SCAN = 10
"""How many times the limit of one call a walk over everything may take."""

_RESPONSES = """
CREATE TABLE responses (
    key TEXT PRIMARY KEY, target TEXT NOT NULL, status INTEGER NOT NULL,
    content_type TEXT NOT NULL, body BLOB NOT NULL, etag TEXT NOT NULL,
    stored_at REAL NOT NULL, fetch_seconds REAL NOT NULL, checksum INTEGER NOT NULL
)"""
_BY_AGE = "CREATE INDEX responses_by_age ON responses (stored_at)"
_MIGRATIONS: tuple[tuple[str, ...], ...] = ((_RESPONSES, _BY_AGE),)
"""What makes schema n out of schema n - 1; ``user_version`` says which one a file has."""

_SELECT = """
SELECT key, target, status, content_type, body, etag, stored_at, fetch_seconds, checksum
FROM responses WHERE key = ?"""
# A time that is no number belongs to a damaged record, which gives way.
_UPSERT = """
INSERT INTO responses VALUES (
    :key, :target, :status, :content_type, :body, :etag, :stored_at, :fetch_seconds, :checksum
) ON CONFLICT (key) DO UPDATE SET
    target = excluded.target, status = excluded.status, content_type = excluded.content_type,
    body = excluded.body, etag = excluded.etag, stored_at = excluded.stored_at,
    fetch_seconds = excluded.fetch_seconds, checksum = excluded.checksum
WHERE excluded.stored_at >= stored_at OR typeof(stored_at) <> 'real'"""

_DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_UNUSABLE = {
    sqlite3.SQLITE_CANTOPEN: "check that DATA_DIR is a folder that may be written",
    sqlite3.SQLITE_READONLY: "check that DATA_DIR and the files in it may be written",
    sqlite3.SQLITE_PERM: "check that DATA_DIR and the files in it may be written",
    sqlite3.SQLITE_BUSY: "another program holds it locked",
    sqlite3.SQLITE_LOCKED: "another program holds it locked",
    sqlite3.SQLITE_IOERR: "check the disk, and that it is not full",
}
"""By the engine's primary error code: failures of the file as a whole, and what to do."""


class _Damaged(StoreUnavailable):
    """Raised when the file is no sound database; ``identity`` is the file that was looked at."""

    def __init__(self, message: str, identity: Identity | None) -> None:
        super().__init__(message)
        self.identity = identity


class _Link(NamedTuple):
    connection: sqlite3.Connection
    identity: Identity | None


class _DatabaseFile:
    """The file and the connections to it. Blocking: for the store's own threads only."""

    def __init__(self, path: Path, busy: float, clock: Callable[[], float]) -> None:
        self.path = path
        self._busy = busy
        self._clock = clock
        self._idle: deque[_Link] = deque()

    def use(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """What ``work`` makes of a connection; every failure is a ``StoreError``.

        ``work`` is done again if the file was moved away or removed meanwhile: what it did there
        would be lost unseen.
        """
        while True:
            link = self._unused() or self._open()
            try:
                result = work(link.connection)
            except (sqlite3.Error, UnicodeError, OverflowError) as error:
                link.connection.close()  # and whatever was under way with it
                if link.identity == identity_of(self.path):
                    raise self._explained(error, link.identity) from error
            except BaseException:
                link.connection.close()
                raise
            else:
                if link.identity == identity_of(self.path):
                    self._idle.append(link)
                    return result
                link.connection.close()

    def set_aside(self, damaged: Identity | None) -> None:
        """Move the damaged file away, unless somebody else has already done it."""
        self.close()
        try:
            with alone_with(self.path, self._busy):
                moved_to = quarantine(self.path, damaged, self._clock())
        except OSError as error:
            raise self._explained(error, damaged) from error
        if moved_to is not None:
            _log.warning("the response store was damaged: starting anew", moved_to=str(moved_to))

    def close(self) -> None:
        """Close the connections that nobody uses at the moment."""
        while link := self._unused():
            link.connection.close()

    def _unused(self) -> _Link | None:
        try:
            return self._idle.pop()
        except IndexError:
            return None

    def _open(self) -> _Link:
        identity = None
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # Two that make the same file at once would refuse each other.
            with alone_with(self.path, self._busy):
                if not self.path.exists():
                    self.path.touch()
                identity = identity_of(self.path)
                connection = sqlite3.connect(
                    self.path, timeout=self._busy, isolation_level=None, check_same_thread=False
                )
                try:
                    self._prepare(connection)
                except BaseException:
                    connection.close()
                    raise
                return _Link(connection, identity)
        except (sqlite3.Error, OSError) as error:
            raise self._explained(error, identity) from error

    def _prepare(self, connection: sqlite3.Connection) -> None:
        version = _one(connection, "PRAGMA user_version")
        if version > len(_MIGRATIONS):
            raise StoreUnavailable(
                f"{self.path} was written by a newer Drawbridge (its schema is {version}, this"
                f" program knows {len(_MIGRATIONS)}): update Drawbridge, or move the file away"
            )
        if version == 0 and _one(connection, "SELECT count(*) FROM sqlite_master"):
            raise StoreUnavailable(
                f"{self.path} belongs to another program: move it away, or set DATA_DIR"
            )
        if version == 0:  # only heeded before the first table; what is forgotten frees the disk
            connection.execute("PRAGMA auto_vacuum = FULL")
        connection.execute("PRAGMA journal_mode = WAL")
        # Survives the death of the process; a power cut may take the last moments, never more.
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA journal_size_limit = 67108864")
        if version < len(_MIGRATIONS):
            _in_one_transaction([_migrate], connection)

    def _explained(self, error: Exception, identity: Identity | None) -> StoreError:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in _DAMAGE:
            return _Damaged(f"{self.path} is damaged ({error})", identity)
        if code == sqlite3.SQLITE_FULL:
            return StoreError(f"the disk of {self.path} is full: free some space on it ({error})")
        if isinstance(error, OSError):
            late = isinstance(error, TimeoutError)
            code = sqlite3.SQLITE_BUSY if late else sqlite3.SQLITE_CANTOPEN
        advice = _UNUSABLE.get(code)
        if advice is not None:
            return StoreUnavailable(f"{self.path} cannot be used: {advice} ({error})")
        return StoreError(f"{self.path} refused: {error}")


@dataclass(slots=True)
class _Write:
    work: Callable[[sqlite3.Connection], Any]
    done: Future[Any] = field(default_factory=Future)


class SqliteStore:
    """A ``ResponseStore`` in the file ``path``, which is made on first use, folders included.

    One call takes at most ``timeout`` seconds, the time in line included; ``max_waiting`` calls
    may be under way, more are refused. Bodies may be up to 1 GB.
    """

    name = "sqlite"

    def __init__(
        self,
        path: Path,
        *,
        timeout: float = 5.0,
        max_waiting: int = 10_000,
        clock: Callable[[], float] = time.time,
    ) -> None:
        # Half, so that the engine's own reason is heard before our deadline cuts it off.
        self._file = _DatabaseFile(path, timeout / 2, clock)
        self._timeout = timeout
        self._max_waiting = max_waiting
        self._waiting = 0
        self._line: deque[_Write] = deque()
        self._writer = ThreadPoolExecutor(1, "sqlite-writer")
        self._readers = ThreadPoolExecutor(_READERS, "sqlite-reader")
        self._closed = False

    async def get(self, key: str) -> Entry | None:
        return await self._read(partial(_select, key=key), self._timeout)

    async def put(self, entry: Entry) -> None:
        await self._write(partial(_upsert, entry=entry), self._timeout)

    async def delete(self, key: str) -> bool:
        work = partial(_changed, "DELETE FROM responses WHERE key = ?", (key,))
        return bool(await self._write(work, self._timeout))

    async def clear(self) -> int:
        work = partial(_changed, "DELETE FROM responses", ())
        return await self._write(work, self._timeout * _SCAN)

    async def prune(self, stored_before: float) -> int:
        work = partial(_changed, "DELETE FROM responses WHERE stored_at < ?", (stored_before,))
        return await self._write(work, self._timeout * _SCAN)

    async def stats(self) -> StoreStats:
        return await self._read(_measure, self._timeout * _SCAN)

    async def ping(self) -> None:
        """Return if the file can be read and written now, see ``ResponseStore.ping``."""
        await self._write(_touch, self._timeout)

    def disconnect(self) -> None:
        """Nothing to do: a file has no server."""

    async def aclose(self) -> None:
        self._closed = True
        try:
            async with asyncio.timeout(self._timeout * _SCAN):
                await asyncio.to_thread(self._wind_up)
        except TimeoutError:
            _log.warning("the response store did not close in time", path=str(self._file.path))

    def _wind_up(self) -> None:
        self._writer.shutdown()  # after everything that stands in line
        self._readers.shutdown()
        self._file.close()

    async def _read(self, work: Callable[[sqlite3.Connection], T], seconds: float) -> T:
        async with self._turn(seconds):
            loop = asyncio.get_running_loop()
            try:
                return await loop.run_in_executor(self._readers, self._file.use, work)
            except _Damaged:
                # Only the writer repairs, between two transactions; it answers this as well.
                return await self._in_line(work)

    async def _write(self, work: Callable[[sqlite3.Connection], T], seconds: float) -> T:
        async with self._turn(seconds):
            return await self._in_line(work)

    async def _in_line(self, work: Callable[[sqlite3.Connection], T]) -> T:
        write = _Write(work)
        self._line.append(write)
        self._writer.submit(self._commit_line)
        result: T = await asyncio.wrap_future(write.done)
        return result

    @asynccontextmanager
    async def _turn(self, seconds: float) -> AsyncIterator[None]:
        if self._closed:
            raise StoreUnavailable(f"{self._file.path} was closed")
        if self._waiting >= self._max_waiting:
            raise StoreUnavailable(f"{self._waiting} calls are waiting for {self._file.path}")
        self._waiting += 1
        try:
            async with asyncio.timeout(seconds):
                yield
        except TimeoutError:
            path = self._file.path
            raise StoreUnavailable(f"{path} did not answer within {seconds:g} s") from None
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
            results = self._use_repaired(partial(_in_one_transaction, works))
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

    def _use_repaired(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return self._file.use(work)
        except _Damaged as found:
            self._file.set_aside(found.identity)
            return self._file.use(work)


def _in_one_transaction(
    works: Sequence[Callable[[sqlite3.Connection], Any]], connection: sqlite3.Connection
) -> list[Any]:
    connection.execute("BEGIN IMMEDIATE")
    results = [work(connection) for work in works]
    connection.execute("COMMIT")
    return results


def _migrate(connection: sqlite3.Connection) -> None:
    for statements in _MIGRATIONS[_one(connection, "PRAGMA user_version") :]:
        for statement in statements:
            connection.execute(statement)
    # A number of our own; pragmas take no parameters.
    connection.execute(f"PRAGMA user_version = {len(_MIGRATIONS)}")


def _select(connection: sqlite3.Connection, key: str) -> Entry | None:
    cursor = connection.execute(_SELECT, (key,))
    row = cursor.fetchone()
    if row is None:
        return None
    names = (column[0] for column in cursor.description)
    entry = entry_of(dict(zip(names, row, strict=True)))
    if entry is None:
        _log.warning("a stored answer is damaged: it counts as absent", key=key)
    return entry


def _upsert(connection: sqlite3.Connection, entry: Entry) -> None:
    connection.execute(_UPSERT, record_of(entry))


def _changed(statement: str, values: tuple[Any, ...], connection: sqlite3.Connection) -> int:
    return connection.execute(statement, values).rowcount


def _measure(connection: sqlite3.Connection) -> StoreStats:
    query = "SELECT count(*), coalesce(sum(length(body)), 0) FROM responses"
    return StoreStats(*connection.execute(query).fetchone())


def _touch(connection: sqlite3.Connection) -> None:
    """Nothing: that the transaction could be begun says that the file can be written."""


def _one(connection: sqlite3.Connection, query: str) -> Any:
    return connection.execute(query).fetchone()[0]

"""The embedded response store: a table in an SQLite file of its own."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from app.cache.store import Entry, StoreStats, entry_of, record_of
from app.storage.sqlite_file import SCAN, Connection, Migrations, SqliteFile

_log = structlog.get_logger(__name__)

_RESPONSES = """
CREATE TABLE responses (
    key TEXT PRIMARY KEY, target TEXT NOT NULL, status INTEGER NOT NULL,
    content_type TEXT NOT NULL, body BLOB NOT NULL, etag TEXT NOT NULL,
    stored_at REAL NOT NULL, fetch_seconds REAL NOT NULL, checksum INTEGER NOT NULL
)"""
_BY_AGE = "CREATE INDEX responses_by_age ON responses (stored_at)"
_MIGRATIONS: Migrations = ((_RESPONSES, _BY_AGE),)

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
        self._file = SqliteFile(
            path, _MIGRATIONS, timeout=timeout, max_waiting=max_waiting, clock=clock
        )
        self._scan = timeout * SCAN

    async def get(self, key: str) -> Entry | None:
        return await self._file.read(partial(_select, key=key))

    async def put(self, entry: Entry) -> None:
        await self._file.write(partial(_upsert, entry=entry))

    async def delete(self, key: str) -> bool:
        work = partial(_changed, "DELETE FROM responses WHERE key = ?", (key,))
        return bool(await self._file.write(work))

    async def clear(self) -> int:
        work = partial(_changed, "DELETE FROM responses", ())
        return await self._file.write(work, self._scan)

    async def prune(self, stored_before: float) -> int:
        work = partial(_changed, "DELETE FROM responses WHERE stored_at < ?", (stored_before,))
        return await self._file.write(work, self._scan)

    async def stats(self) -> StoreStats:
        return await self._file.read(_measure, self._scan)

    async def ping(self) -> None:
        """Return if the file can be read and written now, see ``ResponseStore.ping``."""
        await self._file.ping()

    def disconnect(self) -> None:
        """Nothing to do: a file has no server."""

    async def aclose(self) -> None:
        await self._file.aclose()


def _select(connection: Connection, key: str) -> Entry | None:
    cursor = connection.execute(_SELECT, (key,))
    row = cursor.fetchone()
    if row is None:
        return None
    names = (column[0] for column in cursor.description)
    entry = entry_of(dict(zip(names, row, strict=True)))
    if entry is None:
        _log.warning("a stored answer is damaged: it counts as absent", key=key)
    return entry


def _upsert(connection: Connection, entry: Entry) -> None:
    connection.execute(_UPSERT, record_of(entry))


def _changed(statement: str, values: tuple[Any, ...], connection: Connection) -> int:
    return connection.execute(statement, values).rowcount


def _measure(connection: Connection) -> StoreStats:
    query = "SELECT count(*), coalesce(sum(length(body)), 0) FROM responses"
    return StoreStats(*connection.execute(query).fetchone())

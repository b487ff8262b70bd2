"""The log of changes as tables in an SQLite file, for one machine."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Any

from app.errors import StoreError
from app.records.change import KEEP, Change, CursorGone, Happened, Told
from app.records.change_text import pack_fields, read_fields
from app.storage.sqlite_file import Connection, SqliteFile
from app.waiting import set_within

_LOOK_EVERY = 1.0
"""Seconds after which one who waits looks for what other processes appended."""
_DIGITS = 18

_NEWEST = "SELECT name, (SELECT max(cursor) FROM changes) FROM log"
_HOW_FAR = "SELECT draft, id FROM told WHERE kind = ?"
_REMEMBER = "INSERT OR REPLACE INTO told (kind, draft, id) VALUES (?, ?, ?)"
_APPEND = """
INSERT INTO changes (kind, id, draft, happened, at, row, fields) VALUES (?, ?, ?, ?, ?, ?, ?)"""
_FORGET = "DELETE FROM changes WHERE cursor <= (SELECT max(cursor) FROM changes) - ?"
_READ = """
SELECT cursor, kind, id, draft, happened, at, row, fields FROM changes
WHERE cursor >= ? ORDER BY cursor LIMIT ?"""


class SqliteChangeLog:
    """A ``ChangeLog`` in ``file``, which it closes. A cursor is the log's name and a number."""

    def __init__(
        self, file: SqliteFile, *, keep: int = KEEP, look_every: float = _LOOK_EVERY
    ) -> None:
        self._file = file
        self._keep = keep
        self._look_every = look_every
        self._appended = asyncio.Event()

    async def append(self, changes: Sequence[Change]) -> bool:
        if not changes:
            return True
        done = await self._file.write(partial(_append, changes=changes, keep=self._keep))
        self._appended.set()
        self._appended = asyncio.Event()
        return done

    async def read(self, after: str, *, limit: int) -> list[Told]:
        return await self._file.read(partial(_read, after=after, limit=limit))

    async def last(self) -> str:
        return await self._file.read(_last)

    async def wait(self, after: str, *, within: float) -> bool:
        loop = asyncio.get_running_loop()
        until = loop.time() + within
        while True:
            appended = self._appended
            if await self.last() != after:
                return True
            left = until - loop.time()
            if left <= 0:
                return False
            await set_within(appended, min(left, self._look_every))

    async def aclose(self) -> None:
        await self._file.aclose()


def _append(connection: Connection, changes: Sequence[Change], keep: int) -> bool:
    kind, draft = changes[0].kind, changes[0].draft
    told = connection.execute(_HOW_FAR, (kind,)).fetchone() or (-1, "")
    if draft < told[0]:
        return False
    fresh = [change for change in changes if (draft, change.id) > told]
    if fresh:
        connection.executemany(_APPEND, map(_record, fresh))
        connection.execute(_REMEMBER, (kind, draft, max(change.id for change in fresh)))
        connection.execute(_FORGET, (keep,))
    return True


def _read(connection: Connection, after: str, limit: int) -> list[Told]:
    [name, _] = connection.execute(_NEWEST).fetchone()
    at = _number(after, name)
    # From the cursor itself on: if it is not there any more, nor may be what stood behind it.
    found = connection.execute(_READ, (at, limit + 1 if after else limit)).fetchall()
    if after:
        if not found or found[0][0] != at:
            raise CursorGone(f"the changes behind {after} are no longer kept")
        del found[0]
    return [_told(f"{name}.{number}", values) for number, *values in found]


def _number(cursor: str, name: str) -> int:
    """The number in ``cursor``, 0 if it is empty. Raises ``CursorGone``."""
    if not cursor:
        return 0
    log, _, digits = cursor.partition(".")
    if log != name or not digits.isdecimal() or len(digits) > _DIGITS:
        raise CursorGone(f"{cursor[:80]!r} is no cursor of this log of changes")
    return int(digits)


def _last(connection: Connection) -> str:
    name, number = connection.execute(_NEWEST).fetchone()
    return f"{name}.{number}" if number is not None else ""


def _record(change: Change) -> tuple[Any, ...]:
    fields = pack_fields(change.fields)
    return (
        change.kind,
        change.id,
        change.draft,
        change.happened.value,
        change.at,
        change.row,
        fields,
    )


def _told(cursor: str, values: Sequence[Any]) -> Told:
    kind, id_, draft, happened, at, row, fields = values
    try:
        change = Change(kind, id_, draft, Happened(happened), at, row, read_fields(fields))
    except (ValueError, TypeError, AttributeError) as error:
        raise StoreError(f"the change {cursor} is damaged: {error!r}") from error
    return Told(cursor, change)

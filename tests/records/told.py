"""Changes to tell in tests, and what may stand before a log: real engines, one place each."""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Protocol

from app.coordination.change_stream import RedisChangeLog
from app.coordination.link import Door, OpenDoor, RedisLink, connect
from app.records.change import KEEP, Change, ChangeLog, Happened, Shift, Told
from app.records.schema import MIGRATIONS
from app.records.sqlite_changes import SqliteChangeLog
from app.storage.sqlite_file import SqliteFile

NOON = 1_750_000_000.125


def change(id_: str = "7", *, kind: str = "players", draft: int = 1) -> Change:
    """A change like those of players."""
    return Change(
        kind,
        id_,
        draft,
        Happened.CHANGED,
        NOON + draft,
        b'{"id":"%s","totalXP":"%d"}' % (id_.encode(), draft),
        {"totalXP": Shift(str(draft - 1), str(draft))},
    )


def batch(count: int, *, kind: str = "players", draft: int = 1, first: int = 0) -> list[Change]:
    """``count`` changes of one draft, by id."""
    return [change(f"{first + n:06d}", kind=kind, draft=draft) for n in range(count)]


async def everything(log: ChangeLog, *, after: str = "", limit: int = 100) -> list[Told]:
    """All that stands behind ``after``."""
    told: list[Told] = []
    while page := await log.read(after, limit=limit):
        told += page
        after = page[-1].cursor
    return told


def changes_in(told: Sequence[Told]) -> list[Change]:
    return [one.change for one in told]


class Place(Protocol):
    """Where a log lives; opened again it is the same log, as another process sees it."""

    async def open(self, *, keep: int = KEEP) -> ChangeLog: ...

    async def lose(self) -> None:
        """Everything in it, as when a disk is replaced."""


class SqlitePlace:
    def __init__(self, folder: Path, parts: AsyncExitStack) -> None:
        self.path = folder / "data" / "records.sqlite3"
        self._parts = parts

    async def open(self, *, keep: int = KEEP) -> SqliteChangeLog:
        file = SqliteFile(self.path, MIGRATIONS, timeout=20)
        log = SqliteChangeLog(file, keep=keep, look_every=0.05)
        self._parts.push_async_callback(log.aclose)
        return log

    async def lose(self) -> None:
        for path in self.path.parent.iterdir():
            path.unlink()


class RedisPlace:
    def __init__(self, url: str, parts: AsyncExitStack, door: Door | None = None) -> None:
        self.url = url
        self.name = f"test:{uuid.uuid4().hex}:changes"
        self._parts = parts
        self._door: Door = door or OpenDoor()

    async def open(self, *, keep: int = KEEP) -> RedisChangeLog:
        redis = await self._parts.enter_async_context(connect(self.url))
        log = RedisChangeLog(RedisLink(redis, self._door, time.monotonic), self.name, keep=keep)
        self._parts.push_async_callback(log.aclose)
        return log

    async def lose(self) -> None:
        async with connect(self.url) as redis:
            await redis.delete(self.name, f"{self.name}:told")


@asynccontextmanager
async def sqlite_place(folder: Path) -> AsyncIterator[SqlitePlace]:
    async with AsyncExitStack() as parts:
        yield SqlitePlace(folder, parts)


@asynccontextmanager
async def redis_place(url: str, door: Door | None = None) -> AsyncIterator[RedisPlace]:
    async with AsyncExitStack() as parts:
        yield RedisPlace(url, parts, door)

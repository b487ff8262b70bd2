"""Where a backup is taken from and put back to: the stores that the settings name, opened for it.

Nothing here wakes a container: what sleeps has to be woken before.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from app.config import CoordinationSettings, StoreSettings
from app.records.change import ChangeLog
from app.records.copying import Numbers
from app.records.history import History
from app.records.schema import MIGRATIONS
from app.records.sqlite import SqliteRecords
from app.records.sqlite_changes import SqliteChangeLog
from app.records.sqlite_history import SqliteHistory
from app.records.store import RecordStore
from app.storage.sqlite_file import SqliteFile

if TYPE_CHECKING:
    from app.storage.mongo_link import MongoLink

_PATIENCE = 60.0
"""Seconds for one step of the copying: nobody waits for it but an operator."""


@dataclass(frozen=True, slots=True)
class Place:
    """Stores of one kind. ``numbers`` is the wall time of ``records``, for who fills them."""

    records: RecordStore
    history: History
    numbers: Numbers


@dataclass(frozen=True, slots=True)
class FilePlace(Place):
    """All that is kept, in one SQLite file."""

    changes: ChangeLog
    file: SqliteFile


@asynccontextmanager
async def open_file(path: Path) -> AsyncIterator[FilePlace]:
    """What is in the file ``path``, which is brought up to date; made if it is not there."""
    async with AsyncExitStack() as parts:
        file = SqliteFile(path, MIGRATIONS, timeout=_PATIENCE)
        parts.push_async_callback(file.aclose)
        numbers = Numbers()
        records = SqliteRecords(file.share(), wall=numbers)
        parts.push_async_callback(records.aclose)
        history = SqliteHistory(file.share())
        parts.push_async_callback(history.aclose)
        changes = SqliteChangeLog(file.share())
        parts.push_async_callback(changes.aclose)
        yield FilePlace(records, history, numbers, changes, file)


@asynccontextmanager
async def open_mongo(
    settings: StoreSettings, home: int | None = None, *, patience: float = _PATIENCE
) -> AsyncIterator[Place]:
    """What is in MongoDB: in the ``home`` of that number, or in that which counts.

    ``patience``: seconds that one step may take.
    """
    # Imported only where they are used: the driver takes 7 MB.
    from app.records.mongo import MongoRecords  # noqa: PLC0415
    from app.records.mongo_history import MongoHistory  # noqa: PLC0415
    from app.records.mongo_home import MongoHome  # noqa: PLC0415

    uri, database = _address(settings)
    async with AsyncExitStack() as parts:
        link = MongoHome(uri, database, timeout=patience, number=home)
        parts.push_async_callback(link.aclose)
        numbers = Numbers()
        yield Place(MongoRecords(link, wall=numbers), MongoHistory(link), numbers)


@asynccontextmanager
async def open_link(settings: StoreSettings) -> AsyncIterator[MongoLink]:
    """The whole database, with all homes that there are. Raises ``StoreUnavailable`` soon if the
    server is not there."""
    from app.storage.mongo_link import MongoLink  # noqa: PLC0415

    uri, database = _address(settings)
    async with AsyncExitStack() as parts:
        hasty = MongoLink(uri, database, timeout=settings.mongodb_timeout * 2)
        parts.push_async_callback(hasty.aclose)
        await hasty.ping("records_homes")
        link = MongoLink(uri, database, timeout=_PATIENCE)
        parts.push_async_callback(link.aclose)
        yield link


@asynccontextmanager
async def open_redis_log(settings: CoordinationSettings, realm: str) -> AsyncIterator[ChangeLog]:
    """The log of changes in Redis, for settings that name one."""
    from app.coordination.change_stream import RedisChangeLog  # noqa: PLC0415
    from app.coordination.link import OpenDoor, RedisLink, connect  # noqa: PLC0415

    if settings.redis_url is None:
        raise ValueError("no REDIS_URL")
    async with connect(settings.redis_url.get_secret_value()) as redis:
        log = RedisChangeLog(RedisLink(redis, OpenDoor(), time.monotonic), f"{realm}:changes")
        try:
            yield log
        finally:
            await log.aclose()


def _address(settings: StoreSettings) -> tuple[str, str]:
    if settings.mongodb_uri is None:
        raise ValueError("no MONGODB_URI")
    return settings.mongodb_uri.get_secret_value(), settings.mongodb_database

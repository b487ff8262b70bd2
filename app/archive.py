"""What is kept of the kingdom, put together: its rows, what changed, and values over time."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.cache.gate import StoreGate
from app.config import Settings, StoreSettings
from app.containers.gate import ContainerGate
from app.records.change import ChangeLog
from app.records.history import History
from app.records.schema import MIGRATIONS, RECORDS
from app.records.shelf import Shelf
from app.records.sqlite import SqliteRecords
from app.records.sqlite_changes import SqliteChangeLog
from app.records.sqlite_history import SqliteHistory
from app.records.store import JobState, RecordStore
from app.storage.sqlite_file import SqliteFile
from app.sync.job import kept_for
from app.sync.publisher import Observer, Publisher
from app.sync.remember import Remember

if TYPE_CHECKING:
    from app.coordination.link import RedisLink

_PATIENT = 10.0
"""Seconds: jobs write a thousand rows in one call, and nobody waits for them."""


@dataclass(frozen=True, slots=True)
class Archive:
    """``records`` live where the answers do, behind the same gate; ``changes`` where processes
    meet, if they do."""

    records: RecordStore
    shelf: Shelf
    """What of the records is in memory, to answer from."""
    changes: ChangeLog
    publisher: Publisher
    history: History
    """How values moved; it lives where the records do."""
    gate: StoreGate
    """The way to the records, which may sleep."""

    async def publish(self, collection: str) -> int:
        """A draft was committed: have it served, and tell what changed. See ``Publisher``."""
        self.shelf.notice(collection)
        return await self.publisher.publish(collection)

    async def job_states(self) -> Mapping[str, JobState] | None:
        """What is remembered of the jobs, if the records are up; looking is no use of them.
        Raises ``StoreError``."""
        return await self.records.job_states() if self.gate.is_open else None


@asynccontextmanager
async def open_archive(
    settings: Settings,
    gate: StoreGate,
    link: RedisLink | None,
    realm: str,
    *,
    served: bool,
    observer: Observer | None = None,
) -> AsyncIterator[Archive]:
    """Nothing is connected yet, and whatever sleeps is left asleep.

    ``realm`` is what keys in Redis begin with; ``served``: questions are answered from it here.
    """
    async with AsyncExitStack() as parts:
        file = SqliteFile(settings.data_dir / RECORDS, MIGRATIONS)
        parts.push_async_callback(file.aclose)
        records, history = _records(settings, gate, file)
        parts.push_async_callback(records.aclose)
        parts.push_async_callback(history.aclose)
        changes = _changes(link, realm, file)
        parts.push_async_callback(changes.aclose)
        shelf = Shelf(records, lambda: gate.is_open)
        if served:
            await parts.enter_async_context(shelf)
        sinks = (Remember(history, kept_for(settings.follow_players), wall=time.time),)
        publisher = Publisher(records, changes, sinks, observer=observer)
        yield Archive(records, shelf, changes, publisher, history, gate)


def _records(
    settings: StoreSettings, gate: StoreGate, file: SqliteFile
) -> tuple[RecordStore, History]:
    if settings.mongodb_uri is None:
        return SqliteRecords(file.share(), wall=time.time), SqliteHistory(file.share())
    # Imported only where they are used: the driver takes 7 MB.
    from app.records.mongo import MongoRecords  # noqa: PLC0415
    from app.records.mongo_history import MongoHistory  # noqa: PLC0415
    from app.records.mongo_home import MongoHome  # noqa: PLC0415

    uri, database = settings.mongodb_uri.get_secret_value(), settings.mongodb_database
    link = MongoHome(uri, database, timeout=max(settings.mongodb_timeout, _PATIENT))
    if isinstance(gate, ContainerGate):
        gate.watch(shut=link.disconnect)
    return MongoRecords(link, wall=time.time), MongoHistory(link)


def _changes(link: RedisLink | None, realm: str, file: SqliteFile) -> ChangeLog:
    if link is None:
        return SqliteChangeLog(file.share())
    # The client takes 6 MB, and most gateways have no Redis.
    from app.coordination.change_stream import RedisChangeLog  # noqa: PLC0415

    return RedisChangeLog(link, f"{realm}:changes")

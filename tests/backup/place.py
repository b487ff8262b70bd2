"""Where a gateway keeps things, of each kind, opened as a gateway opens it."""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pymongo import MongoClient

from app.archive import Archive, open_archive
from app.backup.manifest import Manifest
from app.backup.restore import Restored, restore
from app.backup.take import take
from app.cache.gate import OpenGate
from app.config import Settings, load_settings
from app.coordination.link import OpenDoor, RedisLink, connect
from app.records.copying import Watch
from tests.backup.contents import Contents, contents, fill


def unwatched(what: str, count: int) -> None:
    """Nobody looks how far it is."""


@dataclass
class Place:
    """One kind of place; empty at first."""

    folder: Path
    uri: str | None = None
    redis: str | None = None
    database: str = field(default_factory=lambda: f"test_{uuid.uuid4().hex[:12]}")
    realm: str = field(default_factory=lambda: f"test:{uuid.uuid4().hex}")

    @property
    def settings(self) -> Settings:
        return load_settings(
            data_dir=self.folder,
            mongodb_uri=self.uri,
            mongodb_database=self.database,
            redis_url=self.redis,
            _env_file=None,
        )

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Archive]:
        async with AsyncExitStack() as parts:
            link = None
            if self.redis is not None:
                redis = await parts.enter_async_context(connect(self.redis))
                link = RedisLink(redis, OpenDoor(), time.monotonic)
            yield await parts.enter_async_context(
                open_archive(self.settings, OpenGate(), link, self.realm, served=False)
            )

    async def fill(self, *, rounds: int = 3, rows: int = 40) -> None:
        async with self.open() as archive:
            parts = (archive.records, archive.history, archive.changes)
            await fill(*parts, rounds=rounds, rows=rows)

    async def contents(self) -> Contents:
        async with self.open() as archive:
            return await contents(archive.records, archive.history, archive.changes)

    async def take(self, file: Path, watch: Watch = unwatched) -> Manifest:
        return await take(self.settings, self.realm, file, watch)

    async def restore(self, file: Path, *, replace: bool = False) -> Restored:
        return await restore(self.settings, self.realm, file, unwatched, replace=replace)

    def collections(self) -> list[str]:
        """The names of what is in MongoDB."""
        with MongoClient[dict[str, object]](self.uri) as client:
            return sorted(client[self.database].list_collection_names())

    def forget(self) -> None:
        if self.uri is not None:
            with MongoClient[dict[str, object]](self.uri) as client:
                client.drop_database(self.database)


MakePlace = Callable[[str], Place]
"""``sqlite``, ``mongodb``, ``mongodb and redis``, ``sqlite and redis``."""

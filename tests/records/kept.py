"""Putting rows into records, as a sync job does: those of a sandbox, or a few that are made up."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from app.cache.key import RequestKey
from app.errors import StoreUnavailable
from app.kingdom.catalogue import OPERATIONS
from app.kingdom.collections import Collection
from app.kingdom.operation import Operation
from app.records.schema import MIGRATIONS
from app.records.snapshot import Snapshot
from app.records.sqlite import SqliteRecords
from app.records.store import Generation, RecordStore, Version
from app.sandbox.app import Sandbox
from app.storage.sqlite_file import SqliteFile
from app.sync.forms import Trial
from app.sync.proof import Proof
from app.sync.run import CollectionRun, Means
from app.sync.source import Answer, Source
from tests.middleware.asgi import call, http_scope

NOW = 1_790_000_000.0
"""A moment in the autumn of 2026."""
BY_NAME = {operation.name: operation for operation in OPERATIONS}

Row = Mapping[str, Any]


@dataclass
class SandboxSource:
    """A sandbox that is asked in its own process, and what it was asked for."""

    sandbox: Sandbox
    asked: list[str] = field(default_factory=list)

    async def ask(
        self, operation: Operation, values: Mapping[str, str], query: Sequence[tuple[str, str]]
    ) -> Answer:
        """See ``app.sync.source.Source``."""
        return await self.get(Trial("", operation, values, tuple(query)).target)

    async def get(self, target: str) -> Answer:
        """The answer to a path and query."""
        self.asked.append(target)
        path, _, query = target.partition("?")
        heard = await call(self.sandbox, http_scope(path, query_string=query.encode()))
        return Answer(heard.status, heard.headers["content-type"], heard.body, 0.01)


class Records(SqliteRecords):
    """A store in ``path`` that counts what it is asked, and can be told that it cannot."""

    def __init__(self, path: Path) -> None:
        super().__init__(SqliteFile(path, MIGRATIONS), wall=lambda: NOW)
        self.broken = False
        self.looks = 0
        self.scans = 0

    async def generations(self) -> list[Generation]:
        self.looks += 1
        if self.broken:
            raise StoreUnavailable("the store is away")
        return await super().generations()

    async def scan(self, collection: str, *, after: str | None, limit: int) -> list[Version]:
        self.scans += 1
        return await super().scan(collection, after=after, limit=limit)


async def bring(
    store: RecordStore,
    source: Source,
    collection: Collection,
    wall: Callable[[], float] = lambda: NOW,
) -> Generation:
    """A sync job's run over ``collection``."""
    proof = Proof(source, store, wall)
    means = Means(store, source, proof.prove, told, wall, most_drop=0.5)
    await CollectionRun(means, collection, lambda _, __: None).run(None)
    generation = await store.generation(collection.name)
    assert generation is not None
    return generation


async def told(_: str) -> int:
    """Nobody wants to know of changes."""
    return 0


async def keep(
    store: RecordStore,
    collection: Collection,
    rows: Iterable[bytes | Row],
    *,
    as_of: float = NOW,
    facts: Mapping[str, Any] | None = None,
    in_order: bool = True,
) -> Generation:
    """Commit ``rows`` as the newest generation of ``collection``; others are gone."""
    raw = [row if isinstance(row, bytes) else orjson.dumps(row) for row in rows]
    ids = [str(orjson.loads(one)[collection.key]) for one in raw]
    draft = await store.begin(collection.name)
    before = {} if draft.base is None else await known(store, collection.name)
    gone = [(one, raw) for one, raw in before.items() if one not in ids]
    versions = [Version(one, text, text.hex(), as_of) for one, text in zip(ids, raw, strict=True)]
    versions += [Version(one, text, text.hex(), as_of, gone=True) for one, text in gone]
    await store.stage(draft, versions)
    order = tuple(ids) if in_order else None
    generation = Generation(collection.name, draft.number, as_of, len(raw), order, facts or {})
    await store.commit(generation)
    return generation


async def known(store: RecordStore, collection: str) -> dict[str, bytes]:
    """The rows that are there, by id."""
    found = await store.scan(collection, after=None, limit=10_000)
    return {one.id: one.raw for one in found if not one.gone}


def snapshot_of(
    collection: Collection,
    rows: Sequence[Row],
    *,
    facts: Mapping[str, Any] | None = None,
    in_order: bool = True,
) -> Snapshot:
    """A snapshot of a few rows."""
    ids = tuple(str(row[collection.key]) for row in rows)
    order = ids if in_order else None
    generation = Generation(collection.name, 1, NOW, len(rows), order, facts or {})
    raw = {one: orjson.dumps(row) for one, row in zip(ids, rows, strict=True)}
    return Snapshot(collection, generation, raw)


def get(name: str, target: str) -> RequestKey:
    """The key of a question to the operation ``name``."""
    return RequestKey(BY_NAME[name], target)

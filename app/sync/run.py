"""One run over one collection: fetched, compared, doubted, and then made known all at once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from app.errors import SyncError
from app.kingdom.catalogue import OPERATIONS
from app.kingdom.collections import Collection, Extent
from app.records.store import Draft, Generation, RecordStore, Version
from app.sync.compare import differing, is_there, vanished
from app.sync.doubt import Hold, Memory, Sight, held, suspect
from app.sync.pages import Page, Pages
from app.sync.rows import Row
from app.sync.source import Source

Prove = Callable[[Collection, Sequence[bytes]], Awaitable[Mapping[str, Any]]]
"""A collection that is served, and its rows in the upstream's order, to facts about them."""
Publish = Callable[[str], Awaitable[int]]
"""Tell what changed in the collection of this name; how many changes were told."""
Watch = Callable[[int, int], None]
"""Told after each page: rows so far, and calls."""
_BY_NAME = {operation.name: operation for operation in OPERATIONS}
_SCAN = 1000


@dataclass(frozen=True, slots=True)
class Means:
    """What runs work with. ``most_drop`` is the share of the rows that one may lose unasked;
    ``wall`` counts from 1970."""

    store: RecordStore
    source: Source
    prove: Prove
    publish: Publish
    wall: Callable[[], float]
    most_drop: float


@dataclass(frozen=True, slots=True)
class Brought:
    """What became of a run: ``rows`` are there now, ``written`` versions are new.

    ``hold``: it was not believed, and left everything as it was.
    """

    rows: int
    written: int
    hold: Hold | None = None


class CollectionRun:
    """Use it once. Of the rows only their ids and digests are held, and the bytes of those of a
    collection that is served: they are few."""

    def __init__(self, means: Means, collection: Collection, watch: Watch) -> None:
        self._means = means
        self._collection = collection
        self._watch = watch
        self._pages = Pages(
            means.source, collection, _BY_NAME[collection.operation], wall=means.wall
        )
        self._sight = Sight()
        self._seen: dict[str, str] = {}
        """The digests of the rows that came, by id, in the order in which they came."""
        self._raw: dict[str, bytes] = {}
        self._orders: dict[str, list[str]] = {}
        self._known = 0
        """Rows of the generation before that came again."""
        self._added = 0
        self._written = 0
        self._as_of: float | None = None
        self._content_type = ""

    async def run(self, hold: Hold | None, *, confirm: bool = False) -> Brought:
        """Bring the collection up to date, or raise and leave it as it was.

        ``hold`` is the suspicion that the run before was left with; with ``confirm`` whatever
        comes is believed. Raises ``UpstreamError``, ``StoreError`` or ``SyncError``.
        """
        store, name = self._means.store, self._collection.name
        draft = await store.begin(name)
        base = draft.base
        if base is not None and base.published < base.number:
            # Whoever committed it did not get round to telling of it.
            await self._means.publish(name)
        await self._fetch(draft)
        before = None if base is None else Memory.from_json(base.facts.get("seen"))
        found = suspect(
            before,
            self._sight,
            extent=self._collection.extent,
            most_drop=self._means.most_drop,
        )
        if found is not None and not confirm:
            now_held = held(hold, found, self._means.wall())
            if not now_held.is_over(self._means.wall()):
                return Brought(0 if base is None else base.rows, 0, now_held)
        generation = await self._generation(draft, before)
        await store.commit(generation)
        await self._means.publish(name)
        await store.prune(name)
        return Brought(generation.rows, self._written)

    async def _fetch(self, draft: Draft) -> None:
        """Stage every row that differs, page by page; only the newest pages where that will do."""
        async with aclosing(self._pages.read()) as pages:
            async for page in pages:
                news = await self._take(draft, page)
                self._watch(self._pages.rows, self._pages.calls)
                if self._collection.extent is Extent.NEWEST and not news:
                    break

    async def _take(self, draft: Draft, page: Page) -> bool:
        """Keep what ``page`` brought; whether it was anything that was not known."""
        if self._as_of is None:
            self._as_of, self._content_type = page.at, page.content_type
        self._sight.add(page.part, [row.fields for row in page.rows], last=page.last)
        # Rows move while they are paged through: of one that comes twice the later one counts.
        latest = {row.id: row for row in page.rows}
        first = [row for row in latest.values() if row.id not in self._seen]
        moved = [row for row in latest.values() if self._seen.get(row.id, row.digest) != row.digest]
        if not first and not page.last:
            raise SyncError("a page brought nothing but rows of the pages before it")
        news = [*moved, *await self._unlike(draft, first)]
        await self._stage(draft, [Version(r.id, r.raw, r.digest, page.at) for r in news])
        self._remember(page.part, latest)
        return bool(news)

    async def _unlike(self, draft: Draft, rows: Sequence[Row]) -> list[Row]:
        if draft.base is None or not rows:
            self._added += len(rows)
            return list(rows)
        known = await self._means.store.find(draft.collection, [row.id for row in rows])
        there = sum(is_there(version) for version in known.values())
        self._known += there
        self._added += len(rows) - there
        return differing(rows, known)

    async def _stage(self, draft: Draft, versions: Sequence[Version]) -> None:
        if versions:
            await self._means.store.stage(draft, versions)
            self._written += len(versions)

    def _remember(self, part: str, latest: Mapping[str, Row]) -> None:
        for row in latest.values():
            self._seen.pop(row.id, None)
            self._seen[row.id] = row.digest
            if self._collection.served:
                self._raw[row.id] = row.raw
        if self._collection.fan is not None:
            self._orders.setdefault(part, []).extend(latest)

    async def _generation(self, draft: Draft, before: Memory | None) -> Generation:
        """What is to be committed, with everything about it that can be known."""
        collection, base = self._collection, draft.base
        facts: dict[str, Any] = {}
        if collection.served:
            rows = [self._raw[id_] for id_ in self._seen]
            facts.update(await self._means.prove(collection, rows))
        if self._orders:
            facts["orders"] = {part: list(dict.fromkeys(ids)) for part, ids in self._orders.items()}
        facts["content_type"] = self._content_type
        facts["seen"] = Memory.of(self._sight, before).as_json()
        whole = collection.extent is Extent.WHOLE
        if whole:
            await self._mark_vanished(draft)
        return Generation(
            collection=collection.name,
            number=draft.number,
            as_of=self._means.wall() if self._as_of is None else self._as_of,
            rows=len(self._seen) if whole else self._added + (0 if base is None else base.rows),
            order=tuple(self._seen) if whole and collection.order is None else None,
            facts=facts,
        )

    async def _mark_vanished(self, draft: Draft) -> None:
        """Mark the rows as gone that were there and did not come."""
        if draft.base is None or self._known == draft.base.rows:
            return
        now, after = self._means.wall(), None
        while True:
            known = await self._means.store.scan(draft.collection, after=after, limit=_SCAN)
            lost = vanished(known, self._seen)
            await self._stage(draft, [Version(v.id, v.raw, v.digest, now, gone=True) for v in lost])
            if len(known) < _SCAN:
                return
            after = known[-1].id

"""The collections that questions are answered from, in memory: a snapshot of each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping

import structlog

from app.errors import StoreError
from app.kingdom.collections import COLLECTIONS, Collection
from app.owned_task import OwnsTask
from app.records.snapshot import Snapshot
from app.records.store import Generation, RecordStore
from app.waiting import set_within

_log = structlog.get_logger(__name__)
EVERY = 10.0
"""Seconds between two looks for what other processes have committed."""
STEP = 500
"""Rows that are read at once."""
MOST_ROWS = 20_000
"""A collection of more is not held: at 1 KB a row it would take 20 MB."""


class Shelf(OwnsTask):
    """Holds the newest generation of each served collection that the store was seen to have.

    The store is looked at only while ``is_open`` says that it is up: nobody wakes it for this,
    and no lease is taken, so that a look is no use that keeps it awake. While it sleeps, or when
    it fails, what is held stays.
    """

    task_name = "shelf"

    def __init__(
        self,
        store: RecordStore,
        is_open: Callable[[], bool],
        collections: Iterable[Collection] = COLLECTIONS.values(),
    ) -> None:
        self._store = store
        self._is_open = is_open
        self._served = {one.name: one for one in collections if one.served}
        self._held: dict[str, Snapshot] = {}
        self._unfit: dict[str, int] = {}
        self._noticed = asyncio.Event()
        self._troubled = False

    def snapshot(self, collection: str) -> Snapshot | None:
        """The rows of that collection, if they are held."""
        return self._held.get(collection)

    def generations(self) -> Mapping[str, Generation]:
        """What is held of which collection, for those who show it."""
        return {name: snapshot.generation for name, snapshot in self._held.items()}

    def notice(self, collection: str) -> None:
        """There is a newer generation of ``collection``: look for it now."""
        if collection in self._served:
            self._noticed.set()

    async def _run(self) -> None:
        while True:
            self._noticed.clear()
            if self._is_open():
                await self._look()
            await set_within(self._noticed, EVERY)

    async def _look(self) -> None:
        try:
            for generation in await self._store.generations():
                collection = self._served.get(generation.collection)
                if collection is not None and self._is_news(generation):
                    await self._load(collection, generation)
        except StoreError as error:
            # It may have been put to sleep in the middle of it: that is no trouble.
            if self._is_open() and not self._troubled:
                self._troubled = True
                _log.warning("the records cannot be read; those held are used", reason=str(error))
            return
        if self._troubled:
            self._troubled = False
            _log.info("the records can be read again")

    def _is_news(self, generation: Generation) -> bool:
        name, number = generation.collection, generation.number
        held = self._held.get(name)
        return self._unfit.get(name) != number and (
            held is None or held.generation.number != number
        )

    async def _load(self, collection: Collection, generation: Generation) -> None:
        if generation.rows > MOST_ROWS:
            self._set_aside(generation, f"{generation.rows} rows are more than {MOST_ROWS}")
            return
        rows = await self._rows(collection.name)
        newest = await self._store.generation(collection.name)
        if newest is None or newest.number != generation.number:
            # Another one was committed in between, and these may be rows of both.
            self._noticed.set()
            return
        try:
            self._held[collection.name] = Snapshot(collection, generation, rows)
        except ValueError as error:
            self._set_aside(generation, str(error))
            return
        self._unfit.pop(collection.name, None)

    async def _rows(self, collection: str) -> dict[str, bytes]:
        rows: dict[str, bytes] = {}
        after: str | None = None
        while True:
            page = await self._store.scan(collection, after=after, limit=STEP)
            rows.update((one.id, one.raw) for one in page if not one.gone)
            if len(page) < STEP or len(rows) > MOST_ROWS:
                return rows
            after = page[-1].id

    def _set_aside(self, generation: Generation, reason: str) -> None:
        """Say once that nothing is answered from this generation."""
        name = generation.collection
        self._unfit[name] = generation.number
        _log.warning("records that cannot be served", collection=name, reason=reason)

"""After a restart memory holds again what was asked for most before it.

The list of it is written along with other answers and never on its own account, and is read when
the store is up anyway: no container is woken, or kept awake, for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import orjson
import structlog

from app.cache.flight import FlightTable
from app.cache.gate import StoreGate
from app.cache.memory import MemoryTier
from app.cache.store import Entry, ResponseStore
from app.cache.write_behind import WriteBehind
from app.errors import StoreError

_log = structlog.get_logger(__name__)
RECORD = "hottest"
"""Where the store keeps the list; no digest looks like it."""
EVERY = 60.0
"""Seconds between two lists."""
MOST = 1_000
PATIENCE = 30.0
"""Seconds that loading may take; what is in memory by then is warm."""


class WarmUp:
    """Build it inside the running loop. ``clock`` is monotonic, ``wall`` counts from 1970."""

    def __init__(
        self,
        memory: MemoryTier,
        store: ResponseStore,
        gate: StoreGate,
        writer: WriteBehind,
        *,
        clock: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        self._memory = memory
        self._store = store
        self._gate = gate
        self._writer = writer
        self._clock = clock
        self._wall = wall
        self._listed_at = clock()
        self._loading: FlightTable[None] = FlightTable()
        self._loaded = False

    def list_again(self) -> None:
        """An answer is on its way to the store: the list goes along, if it is old."""
        if self._clock() - self._listed_at >= EVERY:
            self._list()

    def begin(self) -> None:
        """Take into memory what the list names, in the background, once the store is up."""
        if not self._loaded and self._gate.is_open:
            self._loaded = True
            self._loading.start(RECORD, self._load)

    async def aclose(self) -> None:
        """Have the list written if the store is up, and end what is under way."""
        await self._loading.aclose()
        if self._loaded and self._gate.is_open and self._memory.stats().entries:
            self._list()

    async def _load(self) -> None:
        lease = self._gate.enter()
        if lease is None:
            return
        with lease:
            try:
                async with asyncio.timeout(PATIENCE):
                    loaded = await self._take(await self._store.get(RECORD))
            except (StoreError, TimeoutError) as error:
                _log.info("memory does not begin warm", reason=str(error) or "it took too long")
                return
        if loaded:
            _log.info("memory is warm", answers=loaded)

    async def _take(self, record: Entry | None) -> int:
        loaded = 0
        for key in _keys(record):
            if self._memory.look(key) is not None:
                continue
            entry = await self._store.get(key)
            if entry is None:
                continue
            if not self._memory.has_room(entry):
                break
            self._memory.put(entry)
            loaded += 1
        return loaded

    def _list(self) -> None:
        self._listed_at = self._clock()
        body = orjson.dumps(self._memory.hottest(MOST))
        now = self._wall()
        self._writer.add(Entry(RECORD, RECORD, 200, "application/json", body, '""', now, 0.0))


def _keys(record: Entry | None) -> list[str]:
    """The keys on the list; none if it cannot be read, which costs some warmth and no more."""
    try:
        listed: Any = orjson.loads(record.body) if record is not None else []
    except orjson.JSONDecodeError:
        return []
    return (
        [key for key in listed[:MOST] if isinstance(key, str)] if isinstance(listed, list) else []
    )

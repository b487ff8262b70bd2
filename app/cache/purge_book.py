"""The purges that count here, kept over restarts: a record in the store, beside the answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

import structlog

from app.cache.flight import FlightTable
from app.cache.freshness import SKEW
from app.cache.gate import StoreGate
from app.cache.key import RequestKey
from app.cache.purges import Purge, Purges, Scope
from app.cache.store import Entry, ResponseStore
from app.cache.write_behind import WriteBehind
from app.errors import ContainerError, StoreError

_log = structlog.get_logger(__name__)
RECORD = "purges"
"""Where the store keeps them; no digest looks like it."""
_LAST_PATIENCE = 2.0
"""Seconds that the end of the process waits for the store because of them."""


class PurgeBook:
    """A purge counts from the moment it is entered; the record of it is written behind.

    What was purged before a restart must be known before an answer from then is given, so
    whoever reads the store asks for ``learned`` first.
    """

    def __init__(
        self, store: ResponseStore, gate: StoreGate, writer: WriteBehind, wall: Callable[[], float]
    ) -> None:
        self._store = store
        self._gate = gate
        self._writer = writer
        self._wall = wall
        self._purges = Purges()
        self._known = False
        self._reading: FlightTable[None] = FlightTable()

    def __len__(self) -> int:
        return len(self._purges)

    def enter(self, purge: Purge) -> None:
        """Let ``purge`` count, now and after a restart."""
        self._purges.add(purge)
        if self._known:
            self._writer.add(self._record())
        else:
            self._reading.start(RECORD, self._learn_when_awake)

    def of(self, key: RequestKey, asked_at: float) -> Purge | None:
        """The purge that hits an answer which was asked for at ``asked_at``."""
        if not self._purges:
            return None
        found = self._purges.of(key, asked_at)
        if found is not None and found.at > self._wall() + SKEW:
            self._date_back()
            found = self._purges.of(key, asked_at)
        return found

    def latest(self, key: RequestKey) -> float:
        """When answers to ``key`` were last purged; minus infinity if never."""
        return self._purges.latest(key)

    async def learned(self) -> None:
        """Return when the past is known; the caller keeps the store up. Raises ``StoreError``."""
        if not self._known:
            await self._reading.join(RECORD, self._learn)

    async def aclose(self) -> None:
        """Have the record written of what was entered, if the store is up."""
        if self._purges and not self._known and self._gate.is_open:
            with suppress(StoreError, ContainerError, TimeoutError):
                async with asyncio.timeout(_LAST_PATIENCE):
                    await self._learn_when_awake()
        await self._reading.aclose()

    def _date_back(self) -> None:
        self._purges.none_after(self._wall())
        if self._known:
            self._writer.add(self._record())
        _log.warning("purges of a time to come are dated back: was the clock set?")

    async def _learn_when_awake(self) -> None:
        with await self._gate.open():
            await self._learn()

    async def _learn(self) -> None:
        record = await self._store.get(RECORD)
        ours = list(self._purges)
        if record is not None:
            try:
                self._purges = Purges.load(record.body)
            except ValueError:
                _log.warning("the purges of the past cannot be read; everything is stale now")
                ours.append(Purge(Scope.ALL, "", self._wall()))
        for purge in ours:
            self._purges.add(purge)
        self._known = True
        if ours:
            self._writer.add(self._record())

    def _record(self) -> Entry:
        now, text = self._wall(), self._purges.dump()
        return Entry(RECORD, "purges", 200, "application/json", text, '""', now, 0.0)

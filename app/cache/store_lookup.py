"""Looking in the store, which may be asleep: at once or not at all, or as long as it takes."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

import structlog

from app.cache.flight import FlightTable
from app.cache.gate import StoreGate
from app.cache.purge_book import PurgeBook
from app.cache.store import Entry, ResponseStore
from app.cache.write_behind import WriteBehind
from app.errors import StoreError

_log = structlog.get_logger(__name__)
PATIENCE = 0.5
"""Seconds that a client waits for the store's answer while the upstream could be asked."""
PAUSE = 1.0
"""Seconds for which the store is left alone after it did not answer."""


class StoreLookup:
    """One look for any number of simultaneous askers; what waits to be written is found too."""

    def __init__(
        self,
        store: ResponseStore,
        gate: StoreGate,
        writer: WriteBehind,
        purges: PurgeBook,
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._gate = gate
        self._writer = writer
        self._purges = purges
        self._clock = clock
        self._rests_until = -math.inf
        self._silent = False
        self._looks: FlightTable[Entry | None] = FlightTable()

    async def at_once(self, digest: str) -> Entry | None:
        """What the store has, unless it would have to wake for it or takes its time."""
        waiting = self._writer.waiting(digest)
        if waiting is not None:
            return waiting
        lease = self._gate.enter()
        if lease is None:
            return None
        with lease:
            if self._clock() < self._rests_until:
                return None
            try:
                async with asyncio.timeout(PATIENCE):
                    found = await self._looks.join(digest, lambda: self._read(digest))
            except (TimeoutError, StoreError) as error:
                self._note_silence(str(error) or "too slow")
                return None
            self._note_answer()
            return found

    async def awaited(self, digest: str) -> Entry | None:
        """What the store has, woken if need be. Raises ``ContainerError`` or ``StoreError``."""
        waiting = self._writer.waiting(digest)
        if waiting is not None:
            return waiting
        with await self._gate.open():
            return await self._looks.join(digest, lambda: self._read(digest))

    async def aclose(self) -> None:
        """End what is under way."""
        await self._looks.aclose()

    async def _read(self, digest: str) -> Entry | None:
        # The look may outlive its askers, so it holds a lease of its own.
        lease = self._gate.enter()
        if lease is None:
            return None
        with lease:
            await self._purges.learned()
            return await self._store.get(digest)

    def _note_silence(self, reason: str) -> None:
        self._rests_until = self._clock() + PAUSE
        if not self._silent:
            self._silent = True
            _log.info("the store does not answer; it is asked now and then", reason=reason)

    def _note_answer(self) -> None:
        if self._silent:
            self._silent = False
            _log.info("the store answers again")

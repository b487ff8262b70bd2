"""Remembered answers in front of the upstream: look up, judge, serve, refresh, ask.

The order in which an answer is looked for is memory, records, store, upstream. What decides is
``freshness.judge``; this shell asks it and does as it says. Records cost no waiting either, and
what they answer is judged like any answer that was fetched when their rows were. A *soft* need for
the store costs a client nothing: while the store is asleep the upstream is asked. Only when the
upstream fails, or the client wants nothing but what is known, does the request wait for the store.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from typing import Protocol

from app.cache.fetches import Fetch, Fetches, Memory
from app.cache.freshness import (
    Judgement,
    Policies,
    Verdict,
    good_for,
    is_nearly_over,
    is_storable,
    jitter,
    judge,
    should_refresh_early,
)
from app.cache.gate import StoreGate
from app.cache.key import RequestKey
from app.cache.leases import Lease
from app.cache.memory import MemoryTier
from app.cache.outcome import Outcome, Source
from app.cache.purge_book import PurgeBook
from app.cache.purges import Purge, Scope
from app.cache.recorded import Recorded
from app.cache.shared_flight import Alone, Flights
from app.cache.store import Entry, ResponseStore
from app.cache.store_lookup import StoreLookup
from app.cache.warm_up import WarmUp
from app.cache.write_behind import WriteBehind
from app.errors import ContainerError, RequestRefused, StoreError, UpstreamError

KNOWN_PATIENCE = 1.0
"""Seconds that a client who could be given an old answer waits for a new one."""

Admit = Callable[[], Awaitable[None]]
"""Whether a client may have the upstream asked: raises ``RequestRefused`` if not."""
Look = Callable[[str], Awaitable[Entry | None]]
"""How the store is looked at for a digest: at once or not at all, or as long as it takes."""


class Answers(Protocol):
    """Answers questions from what is known: ``ResponseCache``, which says what is promised."""

    policies: Policies
    store: ResponseStore

    async def answer(self, key: RequestKey, admit: Admit) -> Outcome: ...
    async def known(self, key: RequestKey) -> Outcome | None: ...


async def _admit() -> None:
    """Everybody may."""


class ResponseCache:
    """Answers questions from what is remembered, and remembers what it had to ask for.

    Build it inside the running loop; ``aclose`` ends its tasks and writes what waits.
    """

    def __init__(
        self,
        *,
        memory: MemoryTier,
        store: ResponseStore,
        gate: StoreGate,
        fetch: Fetch,
        policies: Policies,
        queue_size: int,
        wall: Callable[[], float],
        clock: Callable[[], float],
        chance: Callable[[], float] = random.random,
        flights: Flights | None = None,
        patience: float | None = None,
        disbelieved: Callable[[RequestKey], None] = lambda _: None,
        recorded: Recorded | None = None,
    ) -> None:
        """``patience``: seconds that a client waits for what nobody knows; ``None``: for ever."""
        self.memory = memory
        self.store = store
        self.policies = policies
        self.writer = WriteBehind(store, gate, queue_size)
        self.purges = PurgeBook(store, gate, self.writer, wall)
        self._lookup = StoreLookup(store, gate, self.writer, self.purges, clock)
        self._fetches = Fetches(
            fetch,
            flights=flights or Alone(),
            memory=Memory(
                self._remember, self.memory.put, self._is_fresh, self._is_purged, disbelieved
            ),
            wall=wall,
            clock=clock,
        )
        self._warm_up = WarmUp(memory, store, gate, self.writer, clock=clock, wall=wall)
        self._warm_up.begin()
        self._wall = wall
        self._clock = clock
        self._chance = chance
        self._patience = patience
        self._recorded = recorded

    def peek(self, key: RequestKey) -> Outcome | None:
        """The answer if memory has one that may be given at once; costs no waiting at all."""
        lease = self.lease(key)
        return None if lease is None else lease.outcome

    def lease(self, key: RequestKey) -> Lease | None:
        """The same, and for how long it may be given again unasked.

        While a lease runs, the answer counts as asked for once. Of an answer that is no longer
        fresh a newer one of the records takes the place.
        """
        now = self._clock()
        lease = self.memory.leases.get(key.digest, now)
        if lease is not None:
            return lease
        entry = self.memory.get(key.digest)
        if entry is None:
            return None
        outcome = Outcome(entry, Source.MEMORY, self._judge(key, entry))
        if outcome.judgement.verdict is Verdict.GRACE:
            outcome = self._renewed(key, outcome)
        entry, judgement = outcome.entry, outcome.judgement
        if judgement.verdict not in (Verdict.FRESH, Verdict.GRACE):
            return None
        if judgement.verdict is Verdict.GRACE:
            self._fetches.refresh(key, entry)
        elif self._nearly_over(entry, judgement):
            self._fetches.refresh(key, entry, early=True)
        if outcome.source is not Source.MEMORY:
            return Lease(outcome)
        return self.memory.leases.grant(outcome, now, good_for(judgement, entry.fetch_seconds))

    async def answer(self, key: RequestKey, admit: Admit = _admit) -> Outcome:
        """The best answer that can be had. ``admit`` is asked before the upstream is, and may
        raise ``RequestRefused``: then an old answer is given if there is one.

        Raises ``UpstreamError``, or when what is remembered
        could not be looked up after that, ``ContainerError`` or ``StoreError``.
        """
        outcome = self.peek(key)
        if outcome is not None:
            return outcome
        # While the store was looked at, somebody else may have fetched it.
        known = await self._known(key, self._lookup.at_once) or self.peek(key)
        if known and known.judgement.verdict in (Verdict.FRESH, Verdict.GRACE):
            self.memory.put(known.entry)
            if known.judgement.verdict is Verdict.GRACE:
                self._fetches.refresh(key, known.entry)
            return known
        try:
            outcome = await self._ask(key, known, admit)
        except RequestRefused:
            if known is None:
                raise
            return replace(known, upstream_failed=True)
        except UpstreamError:
            remembered = await self._remembered(key, known)
            if remembered is None:
                raise
            return remembered
        if outcome.entry.status >= 500:
            with suppress(ContainerError, StoreError):
                return await self._remembered(key, known) or outcome
        return outcome

    async def known(self, key: RequestKey) -> Outcome | None:
        """What is remembered, however old, without asking the upstream: a hard need for the store.

        ``None`` when nothing is. Raises ``ContainerError`` or ``StoreError``.
        """
        return self.peek(key) or await self._known(key, self._lookup.awaited)

    def purge(self, purge: Purge) -> None:
        """Let ``purge`` count, at once here and for ever; no answer is looked for."""
        self.purges.enter(purge)
        self.memory.leases.end_all()
        if purge.hard and purge.scope is Scope.ALL:
            self.memory.clear()

    def adopt(self, entry: Entry) -> None:
        """Take over what another process fetched, if an older answer is in memory here."""
        if self.memory.look(entry.key) is not None:
            self.memory.put(entry)

    async def aclose(self) -> None:
        """End what is under way and write what waits to be written."""
        await self._warm_up.aclose()
        await self.purges.aclose()
        await self._lookup.aclose()
        await self._fetches.aclose()
        await self.writer.aclose()

    async def _known(self, key: RequestKey, look: Look) -> Outcome | None:
        """The newest of what is remembered; the store is asked if nothing else has an answer."""
        entry = self.memory.look(key.digest)
        known = self._found(key, entry, Source.MEMORY)
        known = self._from_records(key, entry) or known
        if entry is None and not (known and known.judgement.verdict is Verdict.FRESH):
            stored = self._found(key, await look(key.digest), Source.STORE)
            self._warm_up.begin()
            if known is None or (stored and stored.entry.stored_at > known.entry.stored_at):
                return stored
        return known

    def _from_records(self, key: RequestKey, known: Entry | None) -> Outcome | None:
        """What the records say, if that is newer than what is ``known``."""
        if self._recorded is None:
            return None
        newer_than = -math.inf if known is None else known.stored_at
        return self._found(key, self._recorded.entry(key, newer_than), Source.RECORDS)

    def _renewed(self, key: RequestKey, outcome: Outcome) -> Outcome:
        """The records' answer in place of one that is no longer fresh, if it is newer."""
        newer = self._from_records(key, outcome.entry)
        if newer is None:
            return outcome
        self.memory.put(newer.entry)
        return newer

    def _found(self, key: RequestKey, entry: Entry | None, source: Source) -> Outcome | None:
        """What was found, unless it may not be given any more."""
        if entry is None:
            return None
        judgement = self._judge(key, entry)
        return None if judgement.verdict is Verdict.EXPIRED else Outcome(entry, source, judgement)

    async def _ask(self, key: RequestKey, known: Outcome | None, admit: Admit) -> Outcome:
        failed = self._fetches.failure(key)
        if known and failed:
            raise failed
        older = known.entry if known else None
        if not self._fetches.under_way(key, older):
            await admit()
        collapsed = self._fetches.under_way(key, older)
        entry = await self._fetched(key, older)
        if collapsed and self._judge(key, entry).verdict is Verdict.EXPIRED:
            # What was joined had been asked before a purge that wants it gone.
            entry = await self._fetched(key, older)
        return Outcome(
            entry,
            Source.UPSTREAM,
            self._judge(key, entry),
            was_stale=known is not None,
            collapsed=collapsed,
            stored=is_storable(entry.status),
        )

    async def _fetched(self, key: RequestKey, known: Entry | None) -> Entry:
        flight = self._fetches.wanted(key, known)
        patience = self._patience if known is None else KNOWN_PATIENCE
        await asyncio.wait({flight}, timeout=patience)
        if not flight.done():
            raise self._fetches.took_too_long(key)
        return await asyncio.shield(flight)

    async def _remembered(self, key: RequestKey, known: Outcome | None) -> Outcome | None:
        """The upstream gave nothing: what is remembered is better, so now wait for the store."""
        if known is None:
            entry = await self._lookup.awaited(key.digest)
            known = self._found(key, entry, Source.STORE)
        if known is None:
            return None
        self.memory.put(known.entry)
        return replace(known, upstream_failed=True)

    def _nearly_over(self, entry: Entry, judgement: Judgement) -> bool:
        """Whether this request is the one that renews a hot answer before it is stale."""
        return is_nearly_over(judgement, entry.fetch_seconds) and should_refresh_early(
            judgement.ttl, entry.fetch_seconds, 1.0 - self._chance()
        )

    def _remember(self, entry: Entry, known: Entry | None) -> None:
        # What is too large for memory is known from the store alone.
        before = self.memory.look(entry.key) or known
        from_the_future = before is not None and before.stored_at > entry.stored_at
        if from_the_future:
            self.memory.delete(entry.key)
        self.memory.put(entry)
        self.writer.add(entry, overrule=from_the_future)
        self._warm_up.list_again()

    def _is_fresh(self, key: RequestKey, entry: Entry) -> bool:
        return is_storable(entry.status) and self._judge(key, entry).verdict is Verdict.FRESH

    def _is_purged(self, key: RequestKey, entry: Entry) -> bool:
        return self.purges.of(key, entry.stored_at - entry.fetch_seconds) is not None

    def _judge(self, key: RequestKey, entry: Entry) -> Judgement:
        policy = self.policies.of(key.operation.freshness, entry.status)
        judgement = judge(entry.stored_at, policy, self._wall(), jitter(entry.key))
        purged = self.purges.of(key, entry.stored_at - entry.fetch_seconds)
        if purged is None:
            return judgement
        if purged.hard:
            return replace(judgement, verdict=Verdict.EXPIRED)
        if judgement.verdict is Verdict.FRESH:
            return Judgement(Verdict.GRACE, judgement.age, 0.0)
        return judgement

"""Remembered answers in front of the upstream: look up, judge, serve, refresh, ask.

The order in which an answer is looked for is memory, store, upstream. What decides is
``freshness.judge``; this shell asks it and does as it says. A *soft* need for the store costs a
client nothing: while the store is asleep the upstream is asked. Only when the upstream fails, or
the client wants nothing but what is known, does the request wait for the store.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from hashlib import blake2b
from typing import Protocol

import structlog
from cachetools import TTLCache

from app.cache.flight import FlightTable
from app.cache.freshness import (
    Judgement,
    Policies,
    Verdict,
    is_storable,
    jitter,
    judge,
    should_refresh_early,
)
from app.cache.gate import StoreGate
from app.cache.key import RequestKey
from app.cache.memory import MemoryTier
from app.cache.outcome import Outcome, Source
from app.cache.purges import Purge, Purges, Scope
from app.cache.store import Entry, ResponseStore
from app.cache.write_behind import WriteBehind
from app.errors import ContainerError, RequestRefused, StoreError, UpstreamError, UpstreamTimeout

_log = structlog.get_logger(__name__)
STORE_PATIENCE = 0.5
"""Seconds that a client waits for the store's answer while the upstream could be asked."""
KNOWN_PATIENCE = 1.0
"""Seconds that a client who could be given an old answer waits for a new one."""
_PURGES = "purges"
"""Where the store keeps the purges; no digest looks like it."""
EARLY = 10.0
"""Fetch times before the end of which no answer is renewed early: the chance is one in 20,000."""
RETRY_PAUSE = 1.0
"""Seconds after a failure in which the upstream (for a known answer) or the store is left alone."""


class Answer(Protocol):
    """What a fetch brings: a complete, plausible answer of the upstream."""

    @property
    def status(self) -> int: ...
    @property
    def content_type(self) -> str: ...
    @property
    def body(self) -> bytes: ...
    @property
    def seconds(self) -> float: ...


class Fetch(Protocol):
    """Asks the upstream; raises ``UpstreamError``. Nobody waits for what is in the background."""

    def __call__(self, key: RequestKey, *, background: bool) -> Awaitable[Answer]: ...


Admit = Callable[[], Awaitable[None]]
"""Whether a client may have the upstream asked: raises ``RequestRefused`` if not."""


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
    ) -> None:
        self.memory = memory
        self.store = store
        self.policies = policies
        self.writer = WriteBehind(store, gate, queue_size)
        self._gate = gate
        self._fetch = fetch
        self._wall = wall
        self._chance = chance
        self._clock = clock
        self._store_rests_until = -math.inf
        self._lookups: FlightTable[Entry | None] = FlightTable()
        self._fetches: FlightTable[Entry] = FlightTable()
        self.purges = Purges()
        self._purges_known = False
        self._chores: FlightTable[None] = FlightTable()
        self._failed: TTLCache[str, UpstreamError] = TTLCache(10_000, RETRY_PAUSE, timer=clock)

    def peek(self, key: RequestKey) -> Outcome | None:
        """The answer if memory has one that may be given at once; costs no waiting at all."""
        entry = self.memory.get(key.digest)
        if entry is None:
            return None
        judgement = self._judge(key, entry)
        if judgement.verdict not in (Verdict.FRESH, Verdict.GRACE):
            return None
        if judgement.verdict is Verdict.GRACE or self._nearly_over(entry, judgement):
            self._refresh(key)
        return Outcome(entry, Source.MEMORY, judgement)

    async def answer(self, key: RequestKey, admit: Admit = _admit) -> Outcome:
        """The best answer that can be had. ``admit`` is asked before the upstream is, and may
        raise ``RequestRefused``: then an old answer is given if there is one.

        Raises ``UpstreamError``, or when what is remembered
        could not be looked up after that, ``ContainerError`` or ``StoreError``.
        """
        outcome = self.peek(key)
        if outcome is not None:
            return outcome
        known = await self._known(key)
        if known and known.judgement.verdict in (Verdict.FRESH, Verdict.GRACE):
            self.memory.put(known.entry)
            if known.judgement.verdict is Verdict.GRACE:
                self._refresh(key)
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
        outcome = self.peek(key)
        if outcome is not None:
            return outcome
        entry, source = self.memory.look(key.digest), Source.MEMORY
        if entry is None:
            entry, source = await self._awaited_lookup(key), Source.STORE
        return self._found(key, entry, source)

    def purge(self, purge: Purge) -> None:
        """Let ``purge`` count, at once here and for ever; no answer is looked for."""
        self.purges.add(purge)
        if purge.hard and purge.scope is Scope.ALL:
            self.memory.clear()
        if self._purges_known:
            self.writer.add(self._record_of_purges())
        else:
            self._chores.start(_PURGES, self._learn_purges_when_awake)

    async def aclose(self) -> None:
        """End what is under way and write what waits to be written."""
        await self._chores.aclose()
        await self._lookups.aclose()
        await self._fetches.aclose()
        await self.writer.aclose()

    async def _known(self, key: RequestKey) -> Outcome | None:
        entry, source = self.memory.look(key.digest), Source.MEMORY
        if entry is None:
            entry, source = await self._quick_lookup(key), Source.STORE
        return self._found(key, entry, source)

    def _found(self, key: RequestKey, entry: Entry | None, source: Source) -> Outcome | None:
        """What was found, unless it may not be given any more."""
        if entry is None:
            return None
        judgement = self._judge(key, entry)
        return None if judgement.verdict is Verdict.EXPIRED else Outcome(entry, source, judgement)

    async def _ask(self, key: RequestKey, known: Outcome | None, admit: Admit) -> Outcome:
        failed = self._failed.get(key.digest)
        if known and failed:
            raise failed.with_traceback(None)
        if key.digest not in self._fetches:
            await admit()
        collapsed = key.digest in self._fetches
        flight = self._fetches.start(key.digest, lambda: self._fetch_and_remember(key, False))
        await asyncio.wait({flight}, timeout=KNOWN_PATIENCE if known else None)
        if not flight.done():
            late = self._failed[key.digest] = UpstreamTimeout("The upstream takes its time.")
            raise late
        entry = await asyncio.shield(flight)
        return Outcome(
            entry,
            Source.UPSTREAM,
            self._judge(key, entry),
            was_stale=known is not None,
            collapsed=collapsed,
            stored=is_storable(entry.status),
        )

    async def _remembered(self, key: RequestKey, known: Outcome | None) -> Outcome | None:
        """The upstream gave nothing: what is remembered is better, so now wait for the store."""
        if known is None:
            known = self._found(key, await self._awaited_lookup(key), Source.STORE)
        if known is None:
            return None
        self.memory.put(known.entry)
        return replace(known, upstream_failed=True)

    def _refresh(self, key: RequestKey) -> None:
        if key.digest not in self._failed:
            self._fetches.start(key.digest, lambda: self._fetch_and_remember(key, True))

    def _nearly_over(self, entry: Entry, judgement: Judgement) -> bool:
        """Whether this request is the one that renews a hot answer before it is stale."""
        near = judgement.ttl < EARLY * entry.fetch_seconds
        return near and should_refresh_early(
            judgement.ttl, entry.fetch_seconds, 1.0 - self._chance()
        )

    async def _fetch_and_remember(self, key: RequestKey, background: bool) -> Entry:
        try:
            answer = await self._fetch(key, background=background)
        except UpstreamError as error:
            # A copy: the error itself holds on to all that was read until it was raised.
            self._failed[key.digest] = UpstreamError(error.detail, retry_after=error.retry_after)
            raise
        entry = self._entry(key, answer)
        if is_storable(entry.status):
            self._remember(entry)
        elif entry.status >= 500:
            self._failed[key.digest] = UpstreamError(f"The upstream answered {entry.status}.")
        return entry

    def _remember(self, entry: Entry) -> None:
        before = self.memory.look(entry.key)
        from_the_future = before is not None and before.stored_at > entry.stored_at
        if from_the_future:
            self.memory.delete(entry.key)
        self.memory.put(entry)
        self.writer.add(entry, overrule=from_the_future)

    def _entry(self, key: RequestKey, answer: Answer) -> Entry:
        return Entry(
            key=key.digest,
            target=key.title,
            status=answer.status,
            content_type=answer.content_type,
            body=answer.body,
            etag=f'"{blake2b(answer.body, digest_size=16).hexdigest()}"',
            stored_at=self._wall(),
            fetch_seconds=answer.seconds,
        )

    async def _quick_lookup(self, key: RequestKey) -> Entry | None:
        """Look in the store unless that would make the client wait for it to wake."""
        waiting = self.writer.waiting(key.digest)
        if waiting is not None:
            return waiting
        lease = self._gate.enter()
        if lease is None:
            return None
        with lease:
            if self._clock() < self._store_rests_until:
                return None
            try:
                async with asyncio.timeout(STORE_PATIENCE):
                    return await self._lookups.join(key.digest, lambda: self._read(key.digest))
            except (TimeoutError, StoreError) as error:
                self._store_rests_until = self._clock() + RETRY_PAUSE
                _log.info("the store did not answer", reason=str(error) or "too slow")
                return None

    async def _awaited_lookup(self, key: RequestKey) -> Entry | None:
        waiting = self.writer.waiting(key.digest)
        if waiting is not None:
            return waiting
        with await self._gate.open():
            return await self._lookups.join(key.digest, lambda: self._read(key.digest))

    async def _read(self, digest: str) -> Entry | None:
        # The flight may outlive its askers, so it holds a lease of its own.
        lease = self._gate.enter()
        if lease is None:
            return None
        with lease:
            # What was purged before a restart must be known before an answer from then is given.
            if not self._purges_known:
                await self._chores.join(_PURGES, self._learn_purges)
            return await self.store.get(digest)

    async def _learn_purges_when_awake(self) -> None:
        with await self._gate.open():
            await self._learn_purges()

    async def _learn_purges(self) -> None:
        record = await self.store.get(_PURGES)
        ours = list(self.purges)
        if record is not None:
            try:
                self.purges = Purges.load(record.body)
            except ValueError:
                _log.warning("the purges of the past cannot be read; everything is stale now")
                ours.append(Purge(Scope.ALL, "", self._wall()))
        for purge in ours:
            self.purges.add(purge)
        self._purges_known = True
        if ours:
            self.writer.add(self._record_of_purges())

    def _record_of_purges(self) -> Entry:
        now, text = self._wall(), self.purges.dump()
        return Entry(_PURGES, "purges", 200, "application/json", text, '""', now, 0.0)

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

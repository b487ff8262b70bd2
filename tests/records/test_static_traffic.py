"""Hours of questions about the kingdom's definitions, and what they cost the upstream: nothing.

The time is a number. A sandbox is the upstream of both the sync jobs and the cache, and counts
whom it was asked by.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from app.cache.freshness import Policies
from app.cache.gate import OpenGate
from app.cache.key import RequestKey
from app.cache.memory import MemoryTier
from app.cache.outcome import Source
from app.cache.recorded import Recorded
from app.cache.response_cache import ResponseCache
from app.cache.sqlite import SqliteStore
from app.kingdom.operation import Freshness
from app.records.shelf import Shelf
from app.sandbox.app import Sandbox, create_sandbox
from app.sandbox.options import SandboxOptions
from app.sync.job import JOBS, MINUTE, Job
from tests.cache.doubles import Answer, Clock, key
from tests.records.kept import Records, SandboxSource, bring
from tests.waiting import until

HOURS, STEP = 5.5, 3 * MINUTE
FRESH = {
    Freshness.STATIC: 21_600.0,
    Freshness.SLOW: 600.0,
    Freshness.LIVE: 30.0,
    Freshness.INSTANT: 5.0,
}
"""The defaults of the settings."""
ASKED = [
    key(path, query)
    for path, query in (
        ("/items", ""),
        ("/items", "isAvailable=true&numToFetch=20"),
        ("/items/1", ""),
        ("/actions", "isAvailable=true"),
        ("/action-choices/1100", ""),
        ("/quests", "orderDirection=desc"),
        ("/base-pets", "numToFetch=1000"),
        ("/avatars", ""),
        ("/shop-items", ""),
    )
]
KEPT = [JOBS[name] for name in ("definitions", "items")]


@dataclass
class Clients:
    """What the cache asks the sandbox for."""

    sandbox: Sandbox
    asked: list[str] = field(default_factory=list)

    async def fetch(self, key: RequestKey, *, background: bool) -> Answer:
        """See ``app.cache.fetches.Fetch``."""
        self.asked.append(key.target)
        answer = await SandboxSource(self.sandbox).get(key.target)
        return Answer(answer.status, answer.content_type, answer.body)


async def sync(job: Job, store: Records, source: SandboxSource, shelf: Shelf, clock: Clock) -> None:
    """Run ``job``, and wait until what it brought is held."""
    for collection in job.collections:
        generation = await bring(store, source, collection, clock)
        shelf.notice(collection.name)

        def is_held(name: str = collection.name, number: int = generation.number) -> bool:
            held = shelf.generations().get(name)
            return held is not None and held.number == number

        await until(is_held)


async def test_definitions_cost_the_upstream_nothing_but_their_sync(tmp_path: Path) -> None:
    clock = Clock()
    begin = clock.now
    sandbox = create_sandbox(SandboxOptions(players=300, seed=7, clock=clock))
    jobs, clients = SandboxSource(sandbox), Clients(sandbox)
    store, responses = Records(tmp_path / "r.sqlite3"), SqliteStore(tmp_path / "c.sqlite3")
    ran: dict[str, float] = {}
    sources: Counter[Source] = Counter()
    async with Shelf(store, lambda: True) as shelf:
        cache = ResponseCache(
            memory=MemoryTier(16_000_000),
            store=responses,
            gate=OpenGate(),
            fetch=clients.fetch,
            policies=Policies(FRESH, negative=60.0, keep=math.inf),
            queue_size=1_000_000,
            wall=clock,
            clock=clock,
            recorded=Recorded(shelf.snapshot),
        )
        while clock.now < begin + HOURS * 3600:
            for job in KEPT:
                if clock.now >= ran.get(job.name, -math.inf) + job.every:
                    ran[job.name] = clock.now
                    await sync(job, store, jobs, shelf, clock)
            sources.update([(await cache.answer(one)).source for one in ASKED])
            clock.now += STEP
        await cache.aclose()
    await store.aclose()
    await responses.aclose()
    assert clients.asked == []
    assert sources.total() == len(ASKED) * HOURS * 3600 / STEP
    # Records make each answer once for each time that it is no longer fresh.
    assert 0 < sources[Source.RECORDS] < sources.total() / 5

"""A response cache with everything that it stands on within reach, for its tests."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.cache.freshness import Policies, jitter
from app.cache.memory import MemoryTier
from app.cache.recorded import Recorded
from app.cache.response_cache import ResponseCache
from app.cache.sqlite import SqliteStore
from app.kingdom.operation import Freshness
from tests.cache.doubles import Clock, ScriptedUpstream, SwitchedGate, key
from tests.waiting import until

PLAYERS = key()
FRESH = int(30.0 * jitter(PLAYERS.digest))
"""Seconds that the answer to it is fresh for, of about 30."""


@dataclass
class Kitchen:
    """The cache, over a real SQLite store and an upstream told what to do."""

    cache: ResponseCache
    upstream: ScriptedUpstream
    clock: Clock
    gate: SwitchedGate
    store: SqliteStore

    def forget_memory(self) -> None:
        self.cache.memory.clear()

    async def settled(self) -> None:
        await until(lambda: len(self.cache.writer) == 0)


def kitchen_with(store: SqliteStore, recorded: Recorded | None = None) -> Kitchen:
    upstream, clock, gate = ScriptedUpstream(), Clock(), SwitchedGate()
    cache = ResponseCache(
        memory=MemoryTier(1_000_000),
        store=store,
        gate=gate,
        fetch=upstream.fetch,
        policies=Policies(dict.fromkeys(Freshness, 30.0), negative=60.0, keep=math.inf),
        queue_size=1_000_000,
        wall=clock,
        clock=clock,
        recorded=recorded,
    )
    return Kitchen(cache, upstream, clock, gate, store)


@pytest.fixture
async def kitchen(tmp_path: Path) -> AsyncIterator[Kitchen]:
    made = kitchen_with(SqliteStore(tmp_path / "responses.sqlite3"))
    yield made
    made.gate.broken = False
    made.gate.unlock()
    await made.cache.aclose()
    await made.store.aclose()

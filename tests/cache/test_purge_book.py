"""Purges that count from now on, and after a restart: over a real SQLite store."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.cache.purge_book import RECORD, PurgeBook
from app.cache.purges import Purge, Scope
from app.cache.sqlite import SqliteStore
from app.cache.store import Entry
from app.cache.write_behind import WriteBehind
from tests.cache.doubles import Clock, SwitchedGate, key
from tests.waiting import until

PLAYERS = key()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    made = SqliteStore(tmp_path / "responses.sqlite3")
    yield made
    await made.aclose()


class Opened:
    """A book with what it stands on."""

    def __init__(self, store: SqliteStore) -> None:
        self.gate, self.clock = SwitchedGate(), Clock()
        self.writer = WriteBehind(store, self.gate, 1_000_000)
        self.book = PurgeBook(store, self.gate, self.writer, self.clock)

    async def close(self) -> None:
        await self.book.aclose()
        await until(lambda: len(self.writer) == 0)
        await self.writer.aclose()


async def test_a_purge_counts_at_once_and_in_the_next_book(store: SqliteStore) -> None:
    first = Opened(store)
    assert first.book.of(PLAYERS, 0.0) is None
    assert first.book.latest(PLAYERS) == -math.inf
    purge = Purge(Scope.TAG, "players", 50.0)
    first.book.enter(purge)
    assert first.book.of(PLAYERS, 49.0) == purge
    assert first.book.of(PLAYERS, 51.0) is None
    assert first.book.latest(PLAYERS) == 50.0
    await first.close()
    second = Opened(store)
    assert len(second.book) == 0
    await second.book.learned()
    assert second.book.of(PLAYERS, 49.0) == purge
    await second.close()


async def test_while_the_store_sleeps_a_purge_waits_to_be_written(store: SqliteStore) -> None:
    before = Opened(store)
    before.book.enter(Purge(Scope.PREFIX, "/clans", 10.0))
    await before.close()
    opened = Opened(store)
    opened.gate.is_open = False
    opened.book.enter(Purge(Scope.ALL, "", 60.0))
    assert opened.book.of(PLAYERS, 59.0) is not None
    opened.gate.unlock()
    await until(lambda: len(opened.book) == 2)
    await opened.close()


async def test_purges_that_cannot_be_read_make_everything_stale(store: SqliteStore) -> None:
    await store.put(Entry(RECORD, "purges", 200, "application/json", b"[1]", '""', 1.0, 0.0))
    opened = Opened(store)
    await opened.book.learned()
    assert opened.book.latest(PLAYERS) == opened.clock.now
    await opened.close()


async def test_after_the_clock_was_set_back_a_purge_does_not_hit_what_is_new(
    store: SqliteStore,
) -> None:
    opened = Opened(store)
    opened.book.enter(Purge(Scope.ALL, "", opened.clock.now, hard=True))
    opened.clock.now -= 3600
    asked_before, asked_after = opened.clock.now - 1, opened.clock.now + 1
    assert opened.book.of(PLAYERS, asked_before) is not None
    assert opened.book.of(PLAYERS, asked_after) is None
    await opened.close()
    second = Opened(store)
    second.clock.now = asked_after
    await second.book.learned()
    assert second.book.of(PLAYERS, asked_before) is not None
    assert second.book.of(PLAYERS, asked_after) is None
    await second.close()

"""Looking in a store that answers, sleeps, hangs or is broken: over a real SQLite store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import structlog

from app.cache import store_lookup
from app.cache.purge_book import PurgeBook
from app.cache.sqlite import SqliteStore
from app.cache.store import Entry
from app.cache.store_lookup import PAUSE, StoreLookup
from app.cache.write_behind import WriteBehind
from app.errors import ContainerFailed, StoreUnavailable
from tests.cache.doubles import Clock, SwitchedGate
from tests.waiting import until

ENTRY = Entry("k", "GET /k", 200, "application/json", b"{}", '"t"', 1.0, 0.1)


class MoodyStore(SqliteStore):
    """A real store that can be told to hang or to fail; counts how often it is read."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.reads = 0
        self.fails = False
        self.flowing = asyncio.Event()
        self.flowing.set()

    async def get(self, key: str) -> Entry | None:
        self.reads += key == "k"
        await self.flowing.wait()
        if self.fails:
            raise StoreUnavailable("out of order")
        return await super().get(key)


class Library:
    """A lookup with what it stands on."""

    def __init__(self, store: MoodyStore) -> None:
        self.store, self.gate, self.clock = store, SwitchedGate(), Clock()
        self.writer = WriteBehind(store, self.gate, 1_000_000)
        self.book = PurgeBook(store, self.gate, self.writer, self.clock)
        self.lookup = StoreLookup(store, self.gate, self.writer, self.book, self.clock)


@pytest.fixture
async def library(tmp_path: Path) -> AsyncIterator[Library]:
    made = Library(MoodyStore(tmp_path / "responses.sqlite3"))
    await made.store.put(ENTRY)
    yield made
    made.store.flowing.set()
    made.gate.unlock()
    await made.lookup.aclose()
    await made.book.aclose()
    await made.writer.aclose()
    await made.store.aclose()


async def test_what_is_there_is_found_once_for_all_who_look(library: Library) -> None:
    library.store.flowing.clear()
    looks = [asyncio.create_task(library.lookup.awaited("k")) for _ in range(20)]
    await until(lambda: library.gate.leases >= 20)
    library.store.flowing.set()
    assert await asyncio.gather(*looks) == [ENTRY] * 20
    assert library.store.reads == 1
    assert await library.lookup.at_once("k") == ENTRY
    assert await library.lookup.at_once("other") is None
    assert library.gate.leases == 0


async def test_what_waits_to_be_written_is_found_while_the_store_sleeps(library: Library) -> None:
    library.gate.is_open = False
    library.writer.add(ENTRY)
    assert await library.lookup.at_once("k") == ENTRY
    assert await library.lookup.awaited("k") == ENTRY
    assert library.store.reads == 0


async def test_a_sleeping_store_is_woken_and_only_waited_for_if_asked_to(library: Library) -> None:
    library.gate.is_open = False
    assert await library.lookup.at_once("k") is None
    assert library.gate.wakes == 1
    look = asyncio.create_task(library.lookup.awaited("k"))
    await until(lambda: library.gate.wakes == 2)
    library.gate.unlock()
    assert await look == ENTRY


async def test_a_store_that_cannot_be_woken_is_an_error(library: Library) -> None:
    library.gate.is_open, library.gate.broken = False, True
    with pytest.raises(ContainerFailed):
        await library.lookup.awaited("k")


async def test_a_slow_store_is_left_alone_for_a_moment_and_that_is_said_once(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_lookup, "PATIENCE", 0.02)
    await library.book.learned()
    library.store.flowing.clear()
    with structlog.testing.capture_logs() as logs:
        assert await library.lookup.at_once("k") is None
        assert await library.lookup.at_once("k") is None
        assert library.store.reads == 1
        library.clock.now += PAUSE
        assert await library.lookup.at_once("k") is None
        library.clock.now += PAUSE
        library.store.flowing.set()
        assert await library.lookup.at_once("k") == ENTRY
    assert [line["event"] for line in logs] == [
        "the store does not answer; it is asked now and then",
        "the store answers again",
    ]


async def test_a_broken_store_is_an_error_only_to_those_who_need_it(library: Library) -> None:
    library.store.fails = True
    assert await library.lookup.at_once("k") is None
    with pytest.raises(StoreUnavailable):
        await library.lookup.awaited("k")

"""Memory after a restart: over a real SQLite store."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.cache.memory import MemoryTier
from app.cache.sqlite import SqliteStore
from app.cache.store import Entry
from app.cache.warm_up import EVERY, MOST, RECORD, WarmUp
from app.cache.write_behind import WriteBehind
from tests.cache.doubles import Clock, SwitchedGate
from tests.waiting import until


def entry(name: str, size: int = 10) -> Entry:
    return Entry(name, f"GET /{name}", 200, "application/json", b"x" * size, '"t"', 1.0, 0.1)


class Life:
    """One life of a process: its memory, and the list that it leaves."""

    def __init__(self, path: Path, *, memory: int = 1_000_000, is_open: bool = True) -> None:
        self.memory, self.clock = MemoryTier(memory), Clock()
        self.store, self.gate = SqliteStore(path), SwitchedGate(is_open=is_open)
        self.writer = WriteBehind(self.store, self.gate, 1_000_000)
        self.warm_up = WarmUp(
            self.memory, self.store, self.gate, self.writer, clock=self.clock, wall=self.clock
        )

    async def keep(self, *names: str, size: int = 10) -> None:
        for name in names:
            self.memory.put(entry(name, size))
            await self.store.put(entry(name, size))

    @property
    def loaded(self) -> set[str]:
        return set(self.memory.hottest(MOST))

    async def end(self) -> None:
        await self.warm_up.aclose()
        await self.writer.aclose()
        await self.store.aclose()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "responses.sqlite3"


async def test_what_was_hot_is_in_memory_again_the_hottest_first(path: Path) -> None:
    first = Life(path)
    first.warm_up.begin()
    await first.keep(*"abcdef", size=10_000)
    for name in "fbdabdfdf":
        first.memory.get(name)
    await first.end()
    second = Life(path)
    second.warm_up.begin()
    await until(lambda: second.loaded == set("abcdef"))
    await second.end()


async def test_memory_is_filled_with_the_hottest_and_no_more(path: Path) -> None:
    first = Life(path)
    first.warm_up.begin()
    await first.keep(*"abcdef", size=10_000)
    for name in "fbdabdfdf":
        first.memory.get(name)
    await first.end()
    small = Life(path, memory=50_000)
    await small.warm_up._load()
    assert small.loaded == set("abdf")
    await small.end()


async def test_a_list_goes_along_with_an_answer_now_and_then(path: Path) -> None:
    life = Life(path)
    await life.keep("one")
    life.warm_up.list_again()
    assert len(life.writer) == 0
    life.clock.now += EVERY
    life.warm_up.list_again()
    life.warm_up.list_again()
    assert len(life.writer) == 1
    await until(lambda: len(life.writer) == 0)
    listed = await life.store.get(RECORD)
    assert listed is not None
    assert listed.body == b'["one"]'
    await life.end()


async def test_a_sleeping_store_is_not_woken(path: Path) -> None:
    first = Life(path)
    first.warm_up.begin()
    await first.keep("one")
    await first.end()
    second = Life(path, is_open=False)
    second.warm_up.begin()
    await second.warm_up.aclose()
    assert (second.gate.wakes, len(second.writer)) == (0, 0)
    second.gate.unlock()
    second.warm_up.begin()
    await until(lambda: second.loaded == {"one"})
    await second.end()


@pytest.mark.parametrize("body", [b"", b"{}", b"1", b'["gone", 3, null]'])
async def test_a_list_that_makes_no_sense_warms_nothing(path: Path, body: bytes) -> None:
    life = Life(path)
    await life.store.put(Entry(RECORD, RECORD, 200, "application/json", body, '""', 1.0, 0.0))
    await life.warm_up._load()
    assert life.memory.stats().entries == 0
    await life.end()

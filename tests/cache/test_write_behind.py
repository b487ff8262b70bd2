"""Answers on their way to a store that may be asleep, slow or broken."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from app.cache.store import Entry, StoreStats
from app.cache.write_behind import WriteBehind
from app.errors import StoreError, StoreUnavailable
from tests.cache.doubles import SwitchedGate
from tests.waiting import until

ENTRY = Entry("a", "GET /a", 200, "application/json", b"{}", '"e"', 1.0, 0.1)


def entry(key: str, stored_at: float = 1.0) -> Entry:
    return replace(ENTRY, key=key, stored_at=stored_at)


class FaultyStore:
    """A store in a dictionary that fails when told to."""

    name = "faulty"

    def __init__(self) -> None:
        self.kept: dict[str, Entry] = {}
        self.failures: list[StoreError] = []
        self.puts = 0

    async def put(self, entry: Entry) -> None:
        self.puts += 1
        await asyncio.sleep(0)
        if self.failures:
            raise self.failures.pop()
        self.kept[entry.key] = entry

    async def get(self, key: str) -> Entry | None:
        return self.kept.get(key)

    async def delete(self, key: str) -> bool:
        return self.kept.pop(key, None) is not None

    async def clear(self) -> int:
        return 0

    async def prune(self, stored_before: float) -> int:
        return 0

    async def stats(self) -> StoreStats:
        return StoreStats(len(self.kept), 0)

    async def ping(self) -> None: ...

    def disconnect(self) -> None: ...

    async def aclose(self) -> None: ...


async def test_what_is_added_is_written() -> None:
    store, gate = FaultyStore(), SwitchedGate()
    writer = WriteBehind(store, gate, 1_000_000)
    for number in range(40):
        writer.add(entry(str(number)))
    await until(lambda: len(writer) == 0)
    assert len(store.kept) == 40
    assert (gate.leases, writer.size) == (0, 0)
    await writer.aclose()


async def test_the_later_of_two_for_a_key_is_the_one_that_waits() -> None:
    store, gate = FaultyStore(), SwitchedGate(is_open=False)
    writer = WriteBehind(store, gate, 1_000_000)
    writer.add(entry("a", 1))
    writer.add(entry("a", 2))
    assert len(writer) == 1
    assert writer.waiting("a") == entry("a", 2)
    gate.unlock()
    await writer.aclose()
    assert store.kept == {"a": entry("a", 2)}
    assert store.puts == 1


async def test_a_full_queue_drops_the_oldest_and_counts() -> None:
    store, gate = FaultyStore(), SwitchedGate(is_open=False)
    writer = WriteBehind(store, gate, 3500)
    for number in range(10):
        writer.add(entry(str(number)))
    assert (len(writer), writer.dropped) == (3, 7)
    assert 3000 < writer.size <= 3500
    assert writer.losing
    gate.unlock()
    await writer.aclose()
    assert sorted(store.kept) == ["7", "8", "9"]


async def test_an_answer_larger_than_the_queue_is_dropped_at_once() -> None:
    writer = WriteBehind(FaultyStore(), SwitchedGate(is_open=False), 5000)
    writer.add(replace(ENTRY, body=bytes(10_000)))
    assert (len(writer), writer.size, writer.dropped) == (0, 0, 1)
    await writer.aclose()


async def test_a_store_that_is_away_loses_nothing() -> None:
    store, gate = FaultyStore(), SwitchedGate()
    store.failures = [StoreUnavailable("gone"), StoreUnavailable("gone")]
    writer = WriteBehind(store, gate, 1_000_000)
    for number in range(5):
        writer.add(entry(str(number)))
    await until(lambda: len(writer) == 0)
    assert len(store.kept) == 5
    assert writer.dropped == 0
    await writer.aclose()


async def test_an_answer_that_cannot_be_stored_is_dropped_alone() -> None:
    store, gate = FaultyStore(), SwitchedGate()
    store.failures = [StoreError("too large")]
    writer = WriteBehind(store, gate, 1_000_000)
    for number in range(5):
        writer.add(entry(str(number)))
    await until(lambda: len(writer) == 0)
    assert (len(store.kept), writer.dropped) == (4, 1)
    writer.add(entry("later"))
    await until(lambda: len(writer) == 0)
    assert (writer.dropped, writer.losing) == (1, False)
    await writer.aclose()


async def test_a_container_that_does_not_start_is_tried_again() -> None:
    store, gate = FaultyStore(), SwitchedGate(broken=True)
    writer = WriteBehind(store, gate, 1_000_000)
    writer.add(entry("a"))
    await asyncio.sleep(0.01)
    assert len(writer) == 1
    gate.broken = False
    await until(lambda: len(writer) == 0)
    await writer.aclose()


async def test_closing_gives_up_in_the_end_and_twice_is_fine() -> None:
    writer = WriteBehind(FaultyStore(), SwitchedGate(is_open=False), 1_000_000)
    writer.add(entry("a"))
    await writer.aclose(patience=0.01)
    await writer.aclose()
    assert len(writer) == 1

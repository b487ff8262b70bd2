"""The memory of rows: it finds what was put, and stays within its bytes."""

from __future__ import annotations

import sys
import tracemalloc

from app.cache.row_memory import Group, RowMemory
from app.cache.rows import Frame, Row

FRAME = Frame("application/json", b'{"players":[', b"]}")


def group(*sizes: int, stored_at: float = 100.0) -> Group:
    rows = tuple(Row((str(place),), b"x" * size) for place, size in enumerate(sizes))
    return Group(rows, FRAME, stored_at, 0.5)


def test_groups_are_found_by_shape_and_id() -> None:
    memory = RowMemory(100_000)
    memory.put("a", "1", group(10))
    memory.put("a", "1", group(20))
    memory.put("b", "1", group())
    found = memory.get("a", "1")
    assert found
    assert [len(one.raw) for one in found.rows] == [20]
    assert found.asked_at == 99.5
    assert memory.get("b", "1") == group()
    assert memory.get("a", "2") is None
    assert len(memory) == 2


def test_the_least_used_goes_first_and_the_bound_holds() -> None:
    memory = RowMemory(100_000)
    memory.put("a", "kept", group(1000))
    for number in range(1000):
        memory.put("a", str(number), group(1000))
        assert memory.get("a", "kept")
        assert memory.weight <= 100_000
    assert memory.get("a", "0") is None
    assert memory.get("a", "999")


def test_what_is_too_large_is_forgotten_instead() -> None:
    memory = RowMemory(100_000)
    memory.put("a", "1", group(10))
    memory.put("a", "1", group(20_000))
    assert memory.get("a", "1") is None
    assert memory.weight == 0


def test_it_takes_no_more_than_it_says() -> None:
    memory = RowMemory(8_000_000)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for number in range(60_000):
            rows = (Row((number, str(number)), bytes(100)), Row((number, f"{number}b"), bytes(50)))
            shape = f"GET /players?number={number % 3}"
            memory.put(sys.intern(shape), str(number), Group(rows, FRAME, float(number), 0.5))
        taken = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert 4_000_000 < memory.weight <= 8_000_000
    assert taken <= 8_000_000

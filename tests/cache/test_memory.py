"""The memory tier: which entries it keeps, and that its bound is one of bytes."""

from __future__ import annotations

import gc
import os
import random
import tracemalloc

from app.cache.memory import MemoryTier
from app.cache.store import StoreStats
from tests.cache.conftest import make_entry

ROOMY = 1_000_000


def weight_of_one(body: bytes = b"") -> int:
    """What one entry of ``make_entry`` counts against the bound."""
    tier = MemoryTier(100 * ROOMY)
    tier.put(make_entry(body=body))
    return tier.stats().size


def keys_in(tier: MemoryTier, keys: str) -> str:
    return "".join(key for key in keys if tier.get(key) is not None)


def test_the_entry_used_longest_ago_makes_room() -> None:
    tier = MemoryTier(4 * weight_of_one())
    for key in "abcd":
        tier.put(make_entry(key, body=b""))
    tier.get("a")
    tier.put(make_entry("b", body=b"", stored_at=2e9))
    tier.put(make_entry("e", body=b""))
    tier.put(make_entry("f", body=b""))
    assert keys_in(tier, "abcdef") == "abef"


def test_a_larger_version_of_an_entry_makes_others_go() -> None:
    tier = MemoryTier(8 * weight_of_one())
    for key in "abcdefgh":
        tier.put(make_entry(key, body=b""))
    tier.put(make_entry("d", body=bytes(weight_of_one() - 1)))
    assert tier.stats().size <= 8 * weight_of_one()
    assert tier.get("d") is not None
    assert tier.get("a") is None


def test_the_bound_holds_whatever_comes() -> None:
    chance = random.Random(7)
    tier = MemoryTier(100_000)
    for moment in range(2_000):
        key = f"k{chance.randrange(60)}"
        body = bytes(int(chance.expovariate(1 / 5_000)))
        tier.put(make_entry(key, body=body, stored_at=float(moment)))
        if chance.random() < 0.2:
            tier.delete(f"k{chance.randrange(60)}")
        assert tier.stats().size <= 100_000
    assert tier.stats().size > 50_000


def test_an_entry_over_a_quarter_is_not_admitted() -> None:
    tier = MemoryTier(ROOMY)
    room = ROOMY // 4 - weight_of_one()
    tier.put(make_entry("fits", body=bytes(room)))
    tier.put(make_entry("large", body=bytes(room + 1)))
    assert tier.get("fits") is not None
    assert tier.get("large") is None


def test_an_entry_too_large_drives_out_the_older_one_of_its_key() -> None:
    tier = MemoryTier(ROOMY)
    tier.put(make_entry(stored_at=1.0))
    tier.put(make_entry(stored_at=2.0, body=bytes(ROOMY)))
    assert tier.get("k") is None


def test_an_entry_too_large_leaves_a_later_one_of_its_key() -> None:
    tier = MemoryTier(ROOMY)
    tier.put(make_entry(stored_at=2.0))
    tier.put(make_entry(stored_at=1.0, body=bytes(ROOMY)))
    assert tier.get("k") == make_entry(stored_at=2.0)


def test_the_target_counts_too() -> None:
    tier = MemoryTier(ROOMY)
    tier.put(make_entry(target="GET /" + "x" * ROOMY))
    assert tier.stats() == StoreStats(0, 0)


def test_what_goes_gives_its_bytes_back() -> None:
    tier = MemoryTier(ROOMY)
    for moment, key in enumerate("abc"):
        tier.put(make_entry(key, body=b"123", stored_at=float(moment)))
    assert tier.stats() == StoreStats(3, 3 * weight_of_one(b"123"))
    tier.delete("a")
    assert tier.prune(2.0) == 1
    assert tier.stats() == StoreStats(1, weight_of_one(b"123"))
    assert tier.clear() == 1
    assert tier.stats() == StoreStats(0, 0)


def test_pruning_is_no_use() -> None:
    tier = MemoryTier(4 * weight_of_one())
    for key in "abcd":
        tier.put(make_entry(key, body=b""))
    tier.get("a")
    tier.prune(0.0)
    tier.put(make_entry("e", body=b""))
    assert keys_in(tier, "abcde") == "acde"


def test_an_entry_takes_about_what_it_counts() -> None:
    tier = MemoryTier(100 * ROOMY)
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for number in range(5_000):
        entry = make_entry(
            os.urandom(16).hex(),
            target=f"GET /players?name={number:040}",
            content_type=b"application/json; charset=utf-8".decode(),
            etag=f'"{os.urandom(16).hex()}"',
            stored_at=1e9 + number / 7,
            fetch_seconds=number / 7,
            body=os.urandom(100),
        )
        tier.put(entry)
    taken = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert 0.8 < taken / tier.stats().size < 1.05

"""The memory tier: which entries it keeps, and that its bound is one of bytes.

Whose newcomer may come in is tested in test_admission.py; here, that the tier asks.
"""

from __future__ import annotations

import gc
import os
import random
import tracemalloc
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.cache.freshness import Judgement, Verdict
from app.cache.leases import Lease
from app.cache.memory import MemoryTier
from app.cache.outcome import Outcome, Source
from app.cache.store import StoreStats
from tests.cache.conftest import make_entry

ROOMY = 1_000_000
USUAL = 2_000


def weight_of_one(body: bytes = b"") -> int:
    """What one entry of ``make_entry`` counts against the bound."""
    tier = MemoryTier(100 * ROOMY)
    tier.put(make_entry(body=body))
    return tier.stats().size


def keys_in(tier: MemoryTier, keys: str) -> str:
    return "".join(key for key in keys if tier.get(key) is not None)


def tier_for(count: int, size: int = USUAL) -> MemoryTier:
    """An empty tier with room for so many entries, besides the 2 % for what came last."""
    return MemoryTier(count * weight_of_one(bytes(size)) * 50 // 49 + 1)


def full_of(keys: str) -> MemoryTier:
    """A tier with one empty entry for each letter, and room for no more."""
    tier = tier_for(len(keys), size=0)
    for key in keys:
        tier.put(make_entry(key, body=b""))
    return tier


def digests(seed: int, count: int) -> list[str]:
    """Keys as they come: uniform."""
    chance = random.Random(seed)
    return [f"{chance.getrandbits(128):032x}" for _ in range(count)]


def ask(tier: MemoryTier, key: str, size: int = USUAL) -> bool:
    """One request: from memory, or fetched and put there; whether it was a hit."""
    if tier.get(key) is not None:
        return True
    tier.put(make_entry(key, body=bytes(size)))
    return False


def test_while_there_is_room_everything_is_kept() -> None:
    assert keys_in(full_of("abcd"), "abcd") == "abcd"


def test_the_entry_used_longest_ago_makes_room_for_what_is_asked_for_more() -> None:
    tier = full_of("abcd")
    tier.get("a")
    tier.put(make_entry("b", body=b"", stored_at=2e9))
    for key in "eeff":
        ask(tier, key, 0)
    assert keys_in(tier, "abcdef") == "abef"


def test_a_newcomer_that_was_asked_for_once_takes_nobodys_place() -> None:
    tier = full_of("abcd")
    ask(tier, "e", 0)
    assert keys_in(tier, "abcde") == "abcd"


def test_a_scan_cannot_flush_what_is_asked_for() -> None:
    tier, wanted = tier_for(200), digests(1, 150)
    for key in wanted * 3:
        ask(tier, key)
    for key in digests(2, 20_000):
        ask(tier, key)
    assert sum(tier.get(key) is not None for key in wanted) == 150


def test_a_scan_between_requests_costs_few_hits() -> None:
    tier, wanted, scanned = tier_for(200), digests(1, 150), iter(digests(2, 15_000))
    for key in wanted * 3:
        ask(tier, key)
    hits = 0
    for key in wanted * 10:
        hits += ask(tier, key)
        for _ in range(10):
            ask(tier, next(scanned))
    assert hits > 1500 * 0.98


def test_a_burst_on_something_new_is_answered_from_memory() -> None:
    tier = tier_for(200)
    for key in digests(1, 210) * 5:
        ask(tier, key)
    assert not ask(tier, "new")
    assert all(ask(tier, "new") for _ in range(100))


def test_new_favourites_take_the_place_of_old_ones() -> None:
    tier, old, new = tier_for(200), digests(1, 190), digests(2, 190)
    for key in old * 50:
        ask(tier, key)
    for key in new * 50:
        ask(tier, key)
    assert sum(ask(tier, key) for key in new) == 190


def test_a_large_entry_comes_in_among_small_ones_when_it_is_wanted() -> None:
    tier = tier_for(200)
    for key in digests(1, 200) * 2:
        ask(tier, key)
    answers = [ask(tier, "large", 40 * USUAL) for _ in range(5)]
    assert answers == [False, False, False, True, True]
    assert sum(tier.get(key) is not None for key in digests(1, 200)) > 160


def test_a_large_newcomer_pushes_nobody_out_of_the_window() -> None:
    tier = tier_for(200)
    for key in digests(1, 200) * 2:
        ask(tier, key)
    ask(tier, "new")
    ask(tier, "large", 40 * USUAL)
    assert tier.look("large") is None
    assert ask(tier, "new")


def test_one_favourite_of_the_past_does_not_keep_everybody_out() -> None:
    tier = full_of("abcd")
    for key in "aaaaaaaaabcd":
        tier.get(key)
    for key in "eee":
        ask(tier, key, 0)
    assert keys_in(tier, "abcde") == "acde"


def test_an_entry_that_is_here_is_replaced_however_full_the_tier_is() -> None:
    tier = full_of("abcd")
    for key in "bcdbcd":
        tier.get(key)
    tier.put(make_entry("a", body=b"", stored_at=2e9))
    entry = tier.get("a")
    assert entry is not None
    assert entry.stored_at == 2e9


def test_a_version_that_is_too_large_for_the_window_leaves_no_older_one_there() -> None:
    tier = tier_for(200)
    for key in digests(1, 210) * 5:
        ask(tier, key)
    ask(tier, "k")
    tier.put(make_entry("k", body=bytes(40 * USUAL), stored_at=2e9))
    assert tier.get("k") is None


def test_to_be_refreshed_is_not_to_be_asked_for() -> None:
    tier = full_of("abcd")
    for moment in range(5):
        tier.put(make_entry("a", body=b"", stored_at=2e9 + moment))
    for key in "bcd":
        tier.get(key)
    for key in "ee":
        ask(tier, key, 0)
    assert keys_in(tier, "abcde") == "bcde"


def test_a_look_is_no_use() -> None:
    tier = full_of("abcd")
    for _ in range(5):
        assert tier.look("a") == make_entry("a", body=b"")
        assert tier.look("z") is None
    for key in "ee":
        ask(tier, key, 0)
    assert keys_in(tier, "abcde") == "bcde"


def test_a_larger_version_of_an_entry_makes_others_go() -> None:
    tier = full_of("abcdefgh")
    tier.put(make_entry("d", body=bytes(weight_of_one() - 1)))
    assert tier.stats().size <= 8 * weight_of_one()
    assert keys_in(tier, "abcdefgh") == "bcdefgh"


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
    tier = full_of("abcd")
    tier.get("a")
    tier.prune(0.0)
    for key in "ee":
        ask(tier, key, 0)
    assert keys_in(tier, "abcde") == "acde"


def lent(tier: MemoryTier, key: str) -> Lease:
    """A lease on an entry that is here."""
    entry = tier.look(key)
    assert entry is not None
    outcome = Outcome(entry, Source.MEMORY, Judgement(Verdict.FRESH, 0.0, 30.0))
    return tier.leases.grant(outcome, 0.0, 1.0)


@pytest.mark.parametrize(
    "give_up",
    [
        lambda tier: tier.delete("a"),
        lambda tier: tier.clear(),
        lambda tier: tier.prune(3e9),
        lambda tier: tier.put(make_entry("a", body=b"", stored_at=2e9)),
        lambda tier: tier.put(make_entry("a", body=bytes(ROOMY), stored_at=2e9)),
        lambda tier: [ask(tier, key, 0) for key in "eeffgghh"],
        lambda tier: tier.put(make_entry("d", body=b"larger", stored_at=2e9)),
    ],
    ids=["deleted", "cleared", "pruned", "replaced", "too large", "others came", "another grew"],
)
def test_what_is_given_up_or_replaced_ends_its_lease(
    give_up: Callable[[MemoryTier], object],
) -> None:
    tier = full_of("abcd")
    before, lease = tier.look("a"), lent(tier, "a")
    give_up(tier)
    assert tier.look("a") is not before
    assert lease.until < 0
    assert tier.leases.get("a", 0.5) is None


def test_a_newcomer_that_has_to_go_ends_its_lease() -> None:
    tier = tier_for(200)
    for key in digests(1, 210) * 5:
        ask(tier, key)
    ask(tier, "new")
    lease = lent(tier, "new")
    for key in digests(2, 20):
        ask(tier, key)
    assert tier.look("new") is None
    assert lease.until < 0


@pytest.mark.parametrize(
    "leave",
    [
        lambda tier: tier.get("a"),
        lambda tier: tier.look("a"),
        lambda tier: tier.delete("b"),
        lambda tier: tier.prune(0.0),
        lambda tier: tier.put(make_entry("a", body=b"", stored_at=1.0)),
        lambda tier: tier.put(make_entry("b", body=b"", stored_at=2e9)),
        lambda tier: ask(tier, "e", 0),
    ],
    ids=["read", "looked at", "another deleted", "kept", "older", "another put", "not admitted"],
)
def test_what_stays_keeps_its_lease(leave: Callable[[MemoryTier], object]) -> None:
    tier = full_of("abcd")
    lease = lent(tier, "a")
    leave(tier)
    assert tier.leases.get("a", 0.5) is lease


TIER_STEPS = st.tuples(
    st.sampled_from(["put", "put", "put", "lease", "lease", "get", "delete", "prune", "clear"]),
    st.sampled_from("abcdefghijkl"),
    st.sampled_from([0, 500, 9_000, 15_000, 20_000]),
    st.integers(0, 50),
)


@given(st.lists(TIER_STEPS, min_size=20, max_size=80))
def test_what_is_lent_is_what_is_here(steps: list[tuple[str, str, int, int]]) -> None:
    # With room for two small ones among the last, for seven of nine thousand bytes besides, and
    # for none of twenty.
    tier, leases = MemoryTier(70_000), list[Lease]()
    for what, key, size, moment in steps:
        if what == "put":
            tier.put(make_entry(key, body=bytes(size), stored_at=float(moment)))
        elif what == "lease" and tier.look(key) is not None:
            leases.append(lent(tier, key))
        elif what == "get":
            tier.get(key)
        elif what == "delete":
            tier.delete(key)
        elif what == "prune":
            tier.prune(float(moment))
        elif what == "clear":
            tier.clear()
        for lease in leases:
            entry = lease.outcome.entry
            assert lease.until < 0 or tier.look(entry.key) is entry
            assert (lease.until > 0) == (tier.leases.get(entry.key, 0.5) is lease)


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

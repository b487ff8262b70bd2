"""Who may come into a full memory tier."""

from __future__ import annotations

import random
import tracemalloc
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.cache.admission import Contest, Popularity, contest

MANY = 10**9
"""Among so many keys nothing is ever halved."""


def digests(seed: int, count: int) -> list[str]:
    chance = random.Random(seed)
    return [f"{chance.getrandbits(128):032x}" for _ in range(count)]


def popularity(**hits: int) -> Popularity:
    """What a tier of a megabyte knows after these hits."""
    made = Popularity(1_000_000)
    for key, count in hits.items():
        for _ in range(count):
            made.hit(key, MANY)
    return made


def test_a_key_that_is_not_here_counts_from_the_second_time_on() -> None:
    known = popularity()
    counts = []
    for _ in range(4):
        known.miss("k", MANY)
        counts.append(known.of("k"))
    assert counts == [0, 1, 2, 3]


def test_a_key_that_is_here_counts_at_once() -> None:
    assert popularity(k=1).of("k") == 1


def test_counts_end() -> None:
    assert popularity(k=100).of("k") == 15


@given(st.lists(st.sampled_from(digests(1, 300)), max_size=2000))
def test_no_count_is_too_low(asked: list[str]) -> None:
    known = Popularity(20_000)
    for key in asked:
        known.hit(key, MANY)
    for key, count in Counter(asked).items():
        assert known.of(key) >= min(15, count)


def test_few_counts_are_too_high() -> None:
    known = popularity()
    for key in digests(1, 500):
        known.hit(key, MANY)
    wrong = sum(known.of(key) > 0 for key in digests(2, 10_000))
    assert wrong < 500


def test_a_scan_of_any_length_fades_nobodys_count() -> None:
    known, wanted = popularity(), digests(1, 200)
    for key in wanted * 5:
        known.hit(key, 200)
    before = [known.of(key) for key in wanted]
    for key in digests(2, 100_000):
        known.miss(key, 200)
    assert all(known.of(key) >= count for key, count in zip(wanted, before, strict=True))
    assert min(before) == 5


def test_few_keys_of_a_scan_are_taken_for_known() -> None:
    known, scanned = popularity(), digests(2, 10_000)
    counted = 0
    for key in scanned:
        known.miss(key, MANY)
        counted += known.of(key) > 0
    assert counted < 50


def test_what_was_seen_once_is_forgotten_in_time() -> None:
    known = popularity()
    known.miss("k", MANY)
    for key in digests(1, 5_000):
        known.miss(key, MANY)
    known.miss("k", MANY)
    assert known.of("k") == 0


def test_keys_asked_for_in_turn_are_all_counted() -> None:
    known, keys = popularity(), digests(1, 1000)
    for key in keys * 10:
        known.miss(key, MANY)
    assert min(known.of(key) for key in keys) >= 5


def test_counts_fade_as_others_are_asked_for() -> None:
    known = popularity(old=15)
    counts = []
    for key in digests(1, 200):
        known.hit(key, 10)
        counts.append(known.of("old"))
    assert counts == sorted(counts, reverse=True)
    assert {15, 7, 3, 1} <= set(counts)


def test_a_handful_of_keys_does_not_make_counts_fade_at_each_ask() -> None:
    known = popularity()
    for _ in range(10):
        known.hit("k", 1)
    assert known.of("k") == 10


@pytest.mark.parametrize("max_bytes", [1_000_000, 32_000_000])
def test_what_it_takes_is_in_proportion_and_does_not_grow(max_bytes: int) -> None:
    tracemalloc.start()
    known = Popularity(max_bytes)
    for key in digests(1, 20_000):
        known.miss(key, MANY)
        known.hit(key, MANY)
    taken = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert taken < max_bytes * 0.009


RESIDENTS = [("idle", 100), ("rare", 100), ("liked", 100), ("loved", 100)]


@pytest.mark.parametrize(
    ("asked", "excess", "result"),
    [
        (0, 0, Contest(won=True)),
        (0, -50, Contest(won=True)),
        (0, 1, Contest(won=False)),
        (1, 1, Contest(won=True, going=("idle",))),
        (1, 100, Contest(won=True, going=("idle",))),
        (1, 101, Contest(won=False, defender="rare")),
        (2, 101, Contest(won=True, going=("idle", "rare"))),
        (5, 300, Contest(won=False, defender="liked")),
        (6, 300, Contest(won=True, going=("idle", "rare", "liked"))),
        (15, 301, Contest(won=False, defender="loved")),
    ],
)
def test_a_newcomer_has_to_beat_each_that_would_go(
    asked: int, excess: int, result: Contest
) -> None:
    known = popularity(newcomer=asked, rare=1, liked=5, loved=15)
    assert contest(known, "newcomer", excess, RESIDENTS) == result


def test_a_newcomer_for_whom_there_is_never_enough_room_loses() -> None:
    result = contest(popularity(newcomer=15), "newcomer", 101, [("idle", 100)])
    assert result == Contest(won=False)

"""The numbers: the same for the same index, different and even otherwise."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from app.sandbox.dice import DRAWN, FACES, Dice, pick, within

seeds = st.integers(0, 2**64 - 1)


def test_they_never_change() -> None:
    # Kingdoms are promised to be the same on every machine and for every version of Python.
    assert Dice(1, "heroes").roll(0)[:4] == (19949, 21175, 15408, 4915)
    assert Dice(1, "heroes").digits(7, 0, 4) == "c676880d"
    assert Dice(1, "heroes").number(7) == 4378391645197711275


@given(seeds, st.integers(0, 2**63), st.integers(0, 2**63))
def test_the_same_index_rolls_the_same(seed: int, first: int, second: int) -> None:
    rolled = Dice(seed, "pets").roll(first, second)
    assert rolled == Dice(seed, "pets").roll(first, second)
    assert len(rolled) == DRAWN
    assert all(0 <= number < FACES for number in rolled)


def test_seed_subject_and_index_all_count() -> None:
    rolls = [
        Dice(1, "a").roll(0),
        Dice(2, "a").roll(0),
        Dice(1, "b").roll(0),
        Dice(1, "a").roll(1),
        Dice(1, "a").roll(0, 1),
    ]
    assert len(set(rolls)) == len(rolls)


def test_they_are_even() -> None:
    dice = Dice(3, "even")
    numbers = [number for index in range(500) for number in dice.roll(index)]
    buckets = [0] * 16
    for number in numbers:
        buckets[number * 16 // FACES] += 1
    assert max(buckets) < 1.2 * min(buckets)


@given(st.integers(-50, 50), st.integers(0, 500), st.integers(0, FACES - 1))
def test_within(least: int, span: int, number: int) -> None:
    assert least <= within(least, least + span, number) <= least + span


def test_the_ends_are_reached() -> None:
    assert (within(3, 9, 0), within(3, 9, FACES - 1)) == (3, 9)
    assert (pick("abc", 0), pick("abc", FACES - 1)) == ("a", "c")

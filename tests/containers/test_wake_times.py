"""Quantiles from a histogram: close to the truth, in little room."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.containers.wake_times import LAST_STEP, LEAST, WakeTimes

times = st.floats(min_value=LEAST, max_value=900.0)


def times_of(seconds: list[float]) -> WakeTimes:
    told = WakeTimes()
    for one in seconds:
        told = told.with_one(one)
    return told


def test_of_nothing_nothing_is_told() -> None:
    assert (WakeTimes().quantile(0.5), WakeTimes().count) == (None, 0)


def test_a_single_wake_is_told_exactly() -> None:
    assert times_of([0.2137]).quantile(0.5) == 0.2137
    assert times_of([0.2137]).quantile(0.99) == 0.2137


@given(st.lists(times, min_size=1, max_size=200), st.sampled_from([0.01, 0.5, 0.9, 0.99, 1.0]))
def test_a_quantile_is_within_five_percent_of_the_true_one(
    seconds: list[float], share: float
) -> None:
    true = sorted(seconds)[max(1, math.ceil(share * len(seconds))) - 1]
    assert times_of(seconds).quantile(share) == pytest.approx(true, rel=0.05)


@given(st.lists(times, max_size=50), st.lists(times, max_size=50))
def test_two_together_are_as_if_counted_together(one: list[float], other: list[float]) -> None:
    assert times_of(one).with_all(times_of(other)) == times_of([*one, *other])


@given(st.lists(st.floats(min_value=0, max_value=1e9), max_size=300))
def test_however_many_and_whatever_they_are_the_room_is_bounded(seconds: list[float]) -> None:
    told = times_of(seconds)
    assert told.count == len(seconds)
    assert all(0 <= step <= LAST_STEP for step in told.counts)

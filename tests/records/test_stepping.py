"""A series at regular times, compared with looking at every time by itself."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.records.history import Point
from app.records.stepping import Walk, count, ends

times = st.integers(0, 2_000)
steps = st.integers(1, 500)
series = st.lists(times, unique=True).map(
    lambda found: [Point(at, f"{at}") for at in sorted(found)]
)


@pytest.mark.parametrize(
    ("since", "until", "step", "expected"),
    [
        (0, 30, 10, [10, 20, 30]),
        (5, 30, 10, [10, 20, 30]),
        (5, 25, 10, [10, 20, 25]),
        (10, 25, 10, [20, 25]),
        (11, 13, 10, [13]),
        (10, 11, 10, [11]),
        (9, 11, 10, [10, 11]),
        (10, 10, 10, []),
        (12, 11, 10, []),
        (0, 100, 1000, [100]),
    ],
)
def test_steps_end_at_multiples_and_the_last_at_the_end(
    since: int, until: int, step: int, expected: list[int]
) -> None:
    assert ends(since, until, step) == expected
    assert count(since, until, step) == len(expected)


@given(times, times, steps)
def test_they_are_counted_without_being_made(since: int, until: int, step: int) -> None:
    assert count(since, until, step) == len(ends(since, until, step))


def test_each_step_has_what_was_known_at_its_end() -> None:
    walk = Walk("0", [10, 20, 30, 40])
    points = [Point(3, "1"), Point(9, "2"), Point(20, "3"), Point(31, "4")]
    assert [*walk.over(points), *walk.rest()] == [(10, "2"), (20, "2"), (30, "3"), (40, "4")]


def test_before_the_first_point_nothing_is_known() -> None:
    walk = Walk(None, [10, 20])
    assert [*walk.over([Point(15, "1")]), *walk.rest()] == [(10, None), (20, "1")]


@given(series, times, times, steps, st.lists(st.integers(0, 60)))
def test_it_is_as_if_every_time_was_looked_at(
    points: list[Point], since: int, until: int, step: int, cuts: list[int]
) -> None:
    before = [point.value for point in points if point.at < since]
    within = [point for point in points if since <= point.at < until]
    walk = Walk(before[-1] if before else None, ends(since, until, step))
    found: list[tuple[int, str | None]] = []
    borders = [0, *sorted(cuts), len(within)]
    for start, stop in itertools.pairwise(borders):
        found += walk.over(within[start:stop])
    found += walk.rest()
    expected = []
    for end in ends(since, until, step):
        known = [point.value for point in points if point.at < end]
        expected.append((end, known[-1] if known else None))
    assert found == expected

"""How fine values over time are kept: tables, and what holds of every series."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.records.thinning import (
    DAY_SLOTS,
    HOUR_SLOTS,
    beginnings,
    crossings,
    day_of,
    doomed,
    due,
    due_after,
    slot_of,
    step_of,
)

TODAY = 20_500
slots = st.lists(
    st.integers((TODAY - 130) * DAY_SLOTS, (TODAY + 1) * DAY_SLOTS - 1), unique=True
).map(sorted)
days = st.integers(TODAY - 70, TODAY + 140)


def kept(all_slots: Sequence[int], today: int) -> list[int]:
    gone = set(doomed(all_slots, today))
    return [slot for slot in all_slots if slot not in gone]


@pytest.mark.parametrize(
    ("age", "step"),
    [
        (-1, 1),
        (0, 1),
        (2, 1),
        (3, HOUR_SLOTS),
        (60, HOUR_SLOTS),
        (61, DAY_SLOTS),
        (9999, DAY_SLOTS),
    ],
)
def test_days_grow_coarser_with_age(age: int, step: int) -> None:
    assert step_of(TODAY - age, TODAY) == step


def test_slots_and_days_begin_where_the_clock_says_so() -> None:
    midnight = TODAY * 86_400
    assert day_of(midnight) == TODAY == day_of(midnight + 86_399.9)
    assert day_of(midnight - 0.1) == TODAY - 1
    assert slot_of(midnight) == TODAY * DAY_SLOTS == slot_of(midnight + 299.9)
    assert (DAY_SLOTS, HOUR_SLOTS) == (288, 12)


@pytest.mark.parametrize(
    ("age", "within", "left"),
    [
        (2, [0, 1, 287], [0, 1, 287]),
        (3, [0, 1, 287], [1, 287]),
        (3, [11, 12, 23, 24], [11, 23, 24]),
        (60, [0, 11, 12], [11, 12]),
        (61, [0, 11, 12], [12]),
        (61, [287], [287]),
        (500, [], []),
    ],
)
def test_the_last_point_of_each_step_stays(age: int, within: list[int], left: list[int]) -> None:
    start = (TODAY - age) * DAY_SLOTS
    found = kept([start + slot for slot in within], TODAY)
    assert [slot - start for slot in found] == left


def test_steps_of_two_days_are_not_one() -> None:
    border = (TODAY - 60) * DAY_SLOTS
    assert kept([border - 1, border, border + 1], TODAY) == [border - 1, border + 1]


@given(slots, days)
def test_what_is_left_is_a_part_and_has_the_newest(all_slots: list[int], today: int) -> None:
    left = kept(all_slots, today)
    assert set(left) <= set(all_slots)
    assert left[-1:] == all_slots[-1:]


@given(slots, days)
def test_once_is_as_good_as_twice(all_slots: list[int], today: int) -> None:
    left = kept(all_slots, today)
    assert kept(left, today) == left


@given(slots, st.lists(days, min_size=1).map(sorted))
def test_often_is_as_good_as_once(all_slots: list[int], on: list[int]) -> None:
    left = all_slots
    for today in on:
        left = kept(left, today)
    assert left == kept(all_slots, on[-1])


@given(slots, days)
def test_whole_days_may_be_looked_at_by_themselves(all_slots: list[int], today: int) -> None:
    by_day: dict[int, list[int]] = {}
    for slot in all_slots:
        by_day.setdefault(slot // DAY_SLOTS, []).append(slot)
    left = [slot for of_day in by_day.values() for slot in kept(of_day, today)]
    assert left == kept(all_slots, today)


@given(slots, days)
def test_before_it_is_due_nothing_goes(all_slots: list[int], today: int) -> None:
    left = kept(all_slots, today)
    again = due(left, today)
    if again is None:
        assert kept(left, today + 100_000) == left
    else:
        assert again > today
        assert kept(left, again - 1) == left


@given(slots, days)
def test_the_first_of_each_step_tells_when_it_is_due(all_slots: list[int], today: int) -> None:
    left = kept(all_slots, today)
    firsts = [
        found
        for beginning in beginnings(today)
        if (found := next((slot for slot in left if slot >= beginning), None)) is not None
    ]
    assert due(firsts, today) == due(left, today)


@given(slots, days, st.integers(0, 200))
def test_only_the_days_that_grew_coarser_matter(
    all_slots: list[int], before: int, later: int
) -> None:
    left = kept(all_slots, before)
    again, today = due(left, before), before + later
    if again is None or again > today:
        return
    parts = crossings(again, today)
    found = {slot for part in parts for slot in doomed([s for s in left if s in part], today)}
    assert found == set(doomed(left, today))


@given(slots, days, st.integers((TODAY - 200) * DAY_SLOTS, (TODAY + 1) * DAY_SLOTS), st.integers(0))
def test_a_late_point_is_due_in_time(
    all_slots: list[int], before: int, late: int, later: int
) -> None:
    left = kept(all_slots, before)
    days = [day for day in (due(left, before), due_after(late)) if day is not None]
    today = max(min(days), before) + later % 200
    both = sorted({*left, late})
    found = {
        slot
        for part in crossings(min(days), today)
        for slot in doomed([s for s in both if s in part], today)
    }
    assert found == set(doomed(both, today))

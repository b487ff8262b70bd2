"""What changes mean for values over time."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.records.change import Change, Happened, Shift
from app.records.history import Point, Series
from app.records.points import points_of, value_of

AT = 1_771_200_000.75


def added(row: Any) -> Change:
    return Change("clans", "7", 1, Happened.ADDED, AT, json.dumps(row).encode())


def changed(**fields: tuple[Any, Any]) -> Change:
    shifts = {name: Shift(*both) for name, both in fields.items()}
    row = {name: after for name, (_, after) in fields.items()}
    return Change("clans", "7", 2, Happened.CHANGED, AT, json.dumps(row).encode(), shifts)


def found(change: Change, *fields: str) -> dict[str, str]:
    return {
        series.field: point.value for series, point in points_of([change], "clans", fields).points
    }


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (-5, "-5"),
        ("84", "84"),
        ("007", "7"),
        ("-0", "0"),
        (10**30, "1" + "0" * 30),
        ("9" * 100, "9" * 100),
        ("9" * 101, None),
        ("", None),
        ("1.5", None),
        ("1e3", None),
        (" 1", None),
        ("1\n", None),
        ("٣", None),
        ("1_000", None),
        (1.0, None),
        (True, None),
        ([1], None),
        ({}, None),
    ],
)
def test_values_are_whole_numbers(value: Any, text: str | None) -> None:
    assert value_of(value, "mmr") == text
    change = added({"mmr": value})
    assert found(change, "mmr") == ({} if text is None else {"mmr": text})
    assert points_of([change], "clans", ["mmr"]).strange == ({"mmr"} if text is None else set())


@pytest.mark.parametrize(
    ("vaults", "total"),
    [
        ([], "0"),
        ([{"amount": "5"}], "5"),
        ([{"amount": "5", "at": 1}, {"amount": 7}], "12"),
        ([{"amount": str(10**19)}] * 3, str(3 * 10**19)),
        ([{"amount": "5"}, {}], None),
        ([{"amount": "5"}, {"amount": None}], None),
        ([{"amount": "5"}, 5], None),
        ({"amount": "5"}, None),
        ("5", None),
    ],
)
def test_a_dotted_field_is_the_sum_over_a_list(vaults: Any, total: str | None) -> None:
    assert value_of(vaults, "vaults.amount") == total


def test_an_added_row_brings_all_its_fields() -> None:
    change = added({"mmr": "500", "level": 3, "other": 1, "vaults": [{"amount": "4"}]})
    assert points_of([change], "clans", ["mmr", "level", "vaults.amount"]).points == [
        (Series("clans", "7", "mmr"), Point(1_771_200_000, "500")),
        (Series("clans", "7", "level"), Point(1_771_200_000, "3")),
        (Series("clans", "7", "vaults.amount"), Point(1_771_200_000, "4")),
    ]


@pytest.mark.parametrize("row", [{}, {"mmr": None}, [], 5, None])
def test_what_is_not_there_is_not_strange(row: Any) -> None:
    assert points_of([added(row)], "clans", ["mmr", "vaults.amount"]) == ([], set())


def test_a_changed_row_brings_what_differs() -> None:
    change = changed(mmr=("500", "510"), other=(1, 2))
    assert found(change, "mmr", "level") == {"mmr": "510"}


@pytest.mark.parametrize(
    ("before", "after", "value"),
    [
        ("500", 500, None),
        (None, "500", "500"),
        ("strange", "500", "500"),
        ("500", None, None),
        ("500", "strange", None),
    ],
)
def test_another_spelling_is_no_point(before: Any, after: Any, value: str | None) -> None:
    assert found(changed(mmr=(before, after)), "mmr") == ({} if value is None else {"mmr": value})


def test_a_list_that_changed_and_sums_to_the_same_is_no_point() -> None:
    one, two = [{"amount": "5", "at": 1}], [{"amount": "5", "at": 2}]
    assert found(changed(vaults=(one, two)), "vaults.amount") == {}
    assert found(changed(vaults=(one, [*two, *one])), "vaults.amount") == {"vaults.amount": "10"}


def test_a_removed_row_brings_nothing() -> None:
    change = Change("clans", "7", 3, Happened.REMOVED, AT, b'{"mmr":"1"}')
    assert points_of([change], "clans", ["mmr"]) == ([], set())


@given(st.integers(), st.sampled_from([int, str]))
def test_numbers_of_any_size_stay_what_they_are(number: int, spelling: type) -> None:
    text = value_of(spelling(number), "mmr")
    assert text is None if spelling is str and abs(number) >= 10**100 else text == str(number)

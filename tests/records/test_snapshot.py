"""The rows of one generation, and how their fields are read."""

from __future__ import annotations

from typing import Any

import pytest

from app.kingdom.collections import COLLECTIONS
from app.records.snapshot import Column, Snapshot, read_row
from app.records.store import Generation
from tests.records.kept import NOW, snapshot_of

QUESTS = COLLECTIONS["quests"]


def generation(order: tuple[str, ...] | None, rows: int = 2) -> Generation:
    return Generation("quests", 1, NOW, rows, order)


def test_rows_stand_as_the_upstream_gave_them() -> None:
    rows = {"1": b'{"id":"1"}', "2": b'{"id":"2"}'}
    snapshot = Snapshot(QUESTS, generation(("2", "1")), rows)
    assert snapshot.has_order
    assert snapshot.raw == (rows["2"], rows["1"])
    assert snapshot.row("1") is rows["1"]
    assert snapshot.row("3") is None
    assert not Snapshot(QUESTS, generation(None), rows).has_order


@pytest.mark.parametrize("order", [("1",), ("1", "1"), ("1", "3"), ("1", "2", "3")])
def test_an_order_of_other_rows_is_refused(order: tuple[str, ...]) -> None:
    rows = {"1": b'{"id":"1"}', "2": b'{"id":"2"}'}
    with pytest.raises(ValueError, match="rows"):
        Snapshot(QUESTS, generation(order), rows)


def test_rows_that_are_missing_are_seen() -> None:
    with pytest.raises(ValueError, match="3 rows expected"):
        Snapshot(QUESTS, generation(None, rows=3), {"1": b'{"id":"1"}'})


def test_a_column_is_read_once() -> None:
    snapshot = snapshot_of(QUESTS, [{"id": "1", "xp": 5}, {"id": "2", "xp": 3}])
    assert snapshot.column("xp").numbers == [5, 3]
    assert snapshot.column("xp") is snapshot.column("xp")


def test_only_so_many_columns_are_kept() -> None:
    names = [f"f{number}" for number in range(40)]
    snapshot = snapshot_of(QUESTS, [{"id": "1", **dict.fromkeys(names, 1)}])
    columns = [snapshot.column(name) for name in names]
    assert snapshot.column(names[-1]) is columns[-1]
    assert snapshot.column(names[0]) is not columns[0]


def test_a_row_that_cannot_be_read_has_no_fields() -> None:
    assert read_row(b'{"name":"\\ud800"}') == {}
    assert read_row(b"[]") == {}


@pytest.mark.parametrize(
    ("values", "rising"),
    [
        ([3, 1, 2], [1, 2, 0]),
        (["30", "10", "20"], [1, 2, 0]),
        ([], []),
        ([2, 10], [0, 1]),
        (["2", "10"], None),  # as text "10" comes first
        (["a", "b"], None),
        ([1, 1], None),
        ([1, "2"], None),
        (["1", "01"], None),
        ([-1, 1], None),
        ([1, None], None),
        ([True, 2], None),
        ([1.0, 2.0], None),
        ([{"id": "1"}, {"id": "2"}], None),
    ],
)
def test_only_one_reading_is_an_order(values: list[Any], rising: list[int] | None) -> None:
    assert Column(values).rising == rising


@pytest.mark.parametrize(
    ("values", "flags"),
    [([True, False], [True, False]), ([True, None], None), ([1, 0], None), (["true"], None)],
)
def test_a_flag_is_true_or_false(values: list[Any], flags: list[bool] | None) -> None:
    assert Column(values).flags == flags


@pytest.mark.parametrize(
    ("values", "distinct"),
    [(["a", "b"], True), ([1, "1"], False), ([1, 2], True), ([None, 1], False), ([True], False)],
)
def test_values_of_their_own(values: list[Any], distinct: bool) -> None:
    assert Column(values).is_distinct is distinct

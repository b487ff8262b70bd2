"""How values are sorted."""

from __future__ import annotations

from typing import Any

import pytest

from app.sandbox.ordering import places, sort_keys


@pytest.mark.parametrize(
    ("field", "values", "expected"),
    [
        ("id", ["10", "9", "1"], ["1", "10", "9"]),
        ("totalXP", ["10", "9", "1"], ["1", "9", "10"]),
        ("totalXP", ["10", None, "", "-3"], ["-3", None, "", "10"]),
        ("level", [3, 20, 1], [1, 3, 20]),
        ("isActive", [True, False, True], [False, True, True]),
        ("name", ["b", "a", None], [None, "a", "b"]),
        ("name", ["10", "9", "x"], ["10", "9", "x"]),
        ("price", [str(10**30), "5", str(10**29)], ["5", str(10**29), str(10**30)]),
        ("clan", [{"id": "b"}, None, {"id": "a"}], [None, {"id": "a"}, {"id": "b"}]),
        ("days", [[2], [1, 3]], [[1, 3], [2]]),
        ("none", [], []),
    ],
)
def test_sorting(field: str, values: list[Any], expected: list[Any]) -> None:
    keys = sort_keys(field, values)
    assert [
        value for _, value in sorted(zip(keys, values, strict=True), key=lambda one: one[0])
    ] == (expected)


def test_equals_go_by_their_ids_which_are_text() -> None:
    assert places([2, 1, 2, 1], lambda: ["9", "10", "10", "9"]) == [1, 3, 2, 0]


def test_ids_are_only_looked_at_for_equals() -> None:
    def never() -> list[str]:
        raise AssertionError("nobody needs them")

    assert places([3, 1, 2], never) == [1, 2, 0]
    assert places([], never) == []

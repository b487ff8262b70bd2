"""What a difference is to those who are told of it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.records.change import Happened, Shift
from app.records.store import Difference, Version
from app.sync.difference import change_of, shifted


def version(row: Any, *, gone: bool = False, at: float = 5.0) -> Version:
    raw = json.dumps(row).encode()
    return Version("7", raw, json.dumps(row, sort_keys=True), at, gone)


A, B = version({"id": "7", "xp": 1}), version({"id": "7", "xp": 2}, at=9.0)
GONE = version({"id": "7", "xp": 1}, gone=True, at=9.0)


@pytest.mark.parametrize(
    ("before", "after", "happened", "fields"),
    [
        (None, B, Happened.ADDED, {}),
        (A, B, Happened.CHANGED, {"xp": Shift(1, 2)}),
        (A, GONE, Happened.REMOVED, {}),
    ],
)
def test_what_happened(
    before: Version | None, after: Version, happened: Happened, fields: dict[str, Shift]
) -> None:
    change = change_of("players", Difference(3, before, after))
    assert change is not None
    assert (change.kind, change.id, change.draft, change.at) == ("players", "7", 3, 9.0)
    assert (change.happened, change.fields, change.row) == (happened, fields, after.raw)


@pytest.mark.parametrize(
    ("before", "after"), [(None, GONE), (A, A), (B, version(json.loads(B.raw)))]
)
def test_nothing_happened(before: Version | None, after: Version) -> None:
    assert change_of("players", Difference(3, before, after)) is None


@pytest.mark.parametrize(
    ("before", "after", "fields"),
    [
        ('{"a":1}', '{"a":1.0}', {"a": Shift(1, 1.0)}),
        ('{"a":1}', '{"a":true}', {"a": Shift(1, True)}),
        ('{"a":1}', '{ "a" : 1 }', {}),
        ('{"a":null}', "{}", {"a": Shift(None, None)}),
        ('{"a":{"b":1,"c":2}}', '{"a":{"c":2,"b":1}}', {}),
        ('{"a":[1,2]}', '{"a":[2,1]}', {"a": Shift([1, 2], [2, 1])}),
        (f'{{"a":{10**30}}}', f'{{"a":{10**30 + 1}}}', {"a": Shift(10**30, 10**30 + 1)}),
        ('{"b":1,"a":1}', '{"a":2,"b":2}', {"a": Shift(1, 2), "b": Shift(1, 2)}),
        ("[1]", '{"a":1}', {"a": Shift(None, 1)}),
        ("7", "8", {}),
        ("", "no JSON", {}),
    ],
)
def test_the_fields_that_differ(before: str, after: str, fields: dict[str, Shift]) -> None:
    found = shifted(before.encode(), after.encode())
    assert repr(found) == repr(fields)


_rows = st.dictionaries(
    st.sampled_from("abcde"),
    st.integers() | st.text(max_size=3) | st.booleans() | st.lists(st.integers(), max_size=2),
)


@given(_rows, _rows)
def test_the_fields_make_the_one_row_of_the_other(
    before: dict[str, Any], after: dict[str, Any]
) -> None:
    fields = shifted(json.dumps(before).encode(), json.dumps(after).encode())
    made = before | {name: shift.after for name, shift in fields.items()}
    assert {name: value for name, value in made.items() if name in after} == after
    assert all(fields[name].after is None for name in made.keys() - after.keys())
    assert not [name for name in fields if repr(before.get(name)) == repr(after.get(name))]

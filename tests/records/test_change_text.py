"""Changes as text: nothing is lost on the way, and a change is one line."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.records.change import Change, Happened, Shift, Told
from app.records.change_text import pack_fields, read_fields, rfc3339, told_json

_text = st.text(st.characters(), max_size=8)
"""Of any characters, halves of them too."""
_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | _text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_text, inner, max_size=3),
    max_leaves=5,
)
_fields = st.dictionaries(_text, st.builds(Shift, _values, _values), max_size=3)


@given(_fields)
def test_fields_are_read_as_they_were_packed(fields: dict[str, Shift]) -> None:
    packed = pack_fields(fields).encode()
    assert repr(read_fields(packed)) == repr(fields)


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"a":1}', '{"a":[1]}', '{"a":[1,2,3]}'])
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises((ValueError, TypeError, AttributeError)):
        read_fields(text)


def test_what_clients_are_told() -> None:
    change = Change(
        "players",
        "7",
        3,
        Happened.CHANGED,
        1_750_000_000.5,
        b'{\r\n  "id": "7",\n  "wei": 123456789012345678901234567890\n}',
        {"wei": Shift(None, 123456789012345678901234567890)},
    )
    text = told_json(Told("5-1", change))
    assert b"\n" not in text
    assert b"\r" not in text
    assert json.loads(text) == {
        "cursor": "5-1",
        "kind": "players",
        "id": "7",
        "happened": "changed",
        "at": "2025-06-15T15:06:40.500Z",
        "fields": {"wei": {"from": None, "to": 123456789012345678901234567890}},
        "row": {"id": "7", "wei": 123456789012345678901234567890},
    }


@given(_text, _fields)
def test_a_change_is_one_line_whatever_is_in_it(id_: str, fields: dict[str, Shift]) -> None:
    row = json.dumps({"id": id_}, indent=1).encode()
    text = told_json(Told("1", Change("players", id_, 1, Happened.CHANGED, 0.0, row, fields)))
    assert len(text.splitlines()) == 1
    assert json.loads(text)["id"] == json.loads(text)["row"]["id"] == id_


def test_times_are_in_utc() -> None:
    assert rfc3339(0) == "1970-01-01T00:00:00.000Z"
    assert rfc3339(1_750_000_000.9996) == "2025-06-15T15:06:40.999Z"

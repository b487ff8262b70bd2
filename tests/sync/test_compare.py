"""What counts as another content, and what is new, changed and gone."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.records.store import Version
from app.sync.compare import differing, digest_of, vanished
from app.sync.rows import Row

VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip
ROWS = st.dictionaries(st.text(), VALUES, max_size=6)


def shuffled(value: Any) -> Any:
    """The same content with its keys the other way round, all the way down."""
    if isinstance(value, dict):
        return {key: shuffled(value[key]) for key in reversed(value)}
    return [shuffled(one) for one in value] if isinstance(value, list) else value


@given(ROWS, st.sampled_from([None, 2]), st.booleans())
def test_another_spelling_is_the_same_content(
    row: dict[str, Any], indent: int | None, ascii_only: bool
) -> None:
    other = json.loads(json.dumps(shuffled(row), indent=indent, ensure_ascii=ascii_only))
    assert digest_of(other) == digest_of(row)


@given(ROWS, ROWS)
def test_another_content_has_another_digest(one: dict[str, Any], other: dict[str, Any]) -> None:
    spelt = [json.dumps(row, sort_keys=True) for row in (one, other)]
    assert (digest_of(one) == digest_of(other)) == (spelt[0] == spelt[1])


@pytest.mark.parametrize(
    "value", [2**70, -(2**64), "\ud800", {"deep": [2**65]}], ids=["big", "low", "half", "deep"]
)
def test_what_the_fast_way_cannot_write_has_a_digest_too(value: object) -> None:
    assert digest_of({"a": value, "b": 1}) == digest_of({"b": 1, "a": value})
    assert digest_of({"a": value}) != digest_of({"a": 1})


def row(id_: str, digest: str) -> Row:
    return Row(id_, b"{}", digest, frozenset())


def version(id_: str, digest: str, *, gone: bool = False) -> Version:
    return Version(id_, b"{}", digest, 1.0, gone)


def test_new_changed_and_returned_rows_differ() -> None:
    known = {
        "same": version("same", "a"),
        "changed": version("changed", "a"),
        "back": version("back", "a", gone=True),
    }
    rows = [row("same", "a"), row("changed", "b"), row("back", "a"), row("new", "a")]
    assert [one.id for one in differing(rows, known)] == ["changed", "back", "new"]


def test_what_was_there_and_did_not_come_has_vanished() -> None:
    known = [version("came", "a"), version("lost", "a"), version("long lost", "a", gone=True)]
    assert [one.id for one in vanished(known, {"came"})] == ["lost"]

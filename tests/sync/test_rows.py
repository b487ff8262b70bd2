"""Rows cut out of bodies: any spelling of JSON, and each row byte for byte."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import SyncError
from app.sync.compare import digest_of
from app.sync.rows import Row, Shape, cut
from tests.sync.test_compare import ROWS

SHAPE = Shape("things", "id")
ONE = Shape("thing", "", only="thing")


def rows_of(body: bytes, shape: Shape = SHAPE) -> list[Row]:
    steps = cut(body, shape)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            found: list[Row] = end.value
            return found


@given(
    st.lists(ROWS, max_size=5),
    st.sampled_from([(",", ":"), (", ", ": "), (" ,\n\t", " :\r\n ")]),
    st.booleans(),
)
def test_every_row_is_cut_out_as_it_came(
    rows: list[dict[str, Any]], separators: tuple[str, str], ascii_only: bool
) -> None:
    rows = [{**row, "id": str(number)} for number, row in enumerate(rows)]
    spelt = [json.dumps(row, separators=separators, ensure_ascii=ascii_only) for row in rows]
    text = "[ " + separators[0].join(spelt) + "\n]"
    body = ('{ "_meta" : [ {"block":1} ], "things":' + text + "} ").encode("utf-8", "surrogatepass")
    try:
        body.decode()
    except UnicodeDecodeError:
        with pytest.raises(SyncError):
            rows_of(body)
        return
    found = rows_of(body)
    assert [row.raw.decode() for row in found] == spelt
    assert [row.id for row in found] == [row["id"] for row in rows]
    assert [row.digest for row in found] == [digest_of(row) for row in rows]
    assert [row.fields for row in found] == [frozenset(row) for row in rows]


def test_a_number_is_an_id_too() -> None:
    assert [row.id for row in rows_of(b'{"things":[{"id":17},{"id":"018"}]}')] == ["17", "018"]


def test_a_guessed_envelope_may_be_another_one() -> None:
    assert len(rows_of(b'{"other":[{"id":"1"}],"_meta":[]}')) == 1


def test_the_expected_envelope_is_taken_among_several() -> None:
    body = b'{"total":3,"things":[{"id":"1"}],"more":[{"no":"id"}]}'
    assert [row.id for row in rows_of(body)] == ["1"]


def test_one_object_is_one_row() -> None:
    body = b'{"thing": {"a" : 1.50}}'
    assert [(row.id, row.raw) for row in rows_of(body, ONE)] == [("thing", b'{"a" : 1.50}')]


@pytest.mark.parametrize("body", [b'{"things":[]}', b'{"things":null}', b'{ "things" : [ ] }'])
def test_there_may_be_none(body: bytes) -> None:
    assert rows_of(body) == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"_meta":[]}',
        b'{"a":[],"b":[]}',
        b'{"things":[{"id":"1"}]} {}',
        b'{"things":[{"id":"1"},]}',
        b'{"things":[{"id":"1"}',
        b'{"things":[{"id":NaN}]}',
        b'{"things":[{"id":"1"},{"name":"nobody"}]}',
        b'{"things":[{"id":"1"},null]}',
        b'{"things":[{"id":true}]}',
        b'{"things":[{"id":""}]}',
        b'{"things":["1"]}',
        b'{"things":17}',
        b'{"things":{"name":"nobody"}}',
        b'\xff{"things":[]}',
        b'{"things":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
)
def test_what_cannot_be_kept_is_refused(body: bytes) -> None:
    with pytest.raises(SyncError):
        rows_of(body)


def test_others_may_run_in_between() -> None:
    rows = [{"id": str(number), "text": "x" * 1000} for number in range(1000)]
    steps = list(cut(orjson.dumps({"things": rows}), SHAPE))
    assert 10 <= len(steps) <= 20

"""Answers made of rows: the bytes that the upstream would send, or none."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.kingdom.collections import COLLECTIONS
from app.records.query import answer, compose
from app.records.question import Many, Order, read_question
from app.records.snapshot import Snapshot
from tests.records.kept import BY_NAME, get, snapshot_of

ITEMS = COLLECTIONS["items"]
ROWS: list[dict[str, Any]] = [
    {"id": "1", "tokenId": 1, "isAvailable": True, "isSellableToShop": True, "price": 5},
    {"id": "10", "tokenId": 10, "isAvailable": False, "isSellableToShop": True, "price": 5},
    {"id": "2", "tokenId": 2, "isAvailable": True, "isSellableToShop": False, "price": 4},
    {"id": "3", "tokenId": 3, "isAvailable": True, "isSellableToShop": True},
]
SNAPSHOT = snapshot_of(ITEMS, ROWS)


def composed(target: str, snapshot: Snapshot = SNAPSHOT, name: str = "items") -> Any:
    """The parsed answer, or ``None``."""
    key = get(name, target)
    question = read_question(key.operation, key.target)
    assert question is not None
    body = compose(snapshot, question)
    return None if body is None else orjson.loads(body)


def ids(target: str, snapshot: Snapshot = SNAPSHOT) -> list[str] | None:
    """The ids of the rows in the answer."""
    found = composed(target, snapshot)
    return None if found is None else [row["id"] for row in found["items"]]


def test_rows_are_sent_as_they_came() -> None:
    raw = [b'{"id":"1", "x" : 1.0}', b'{"id":"2","y":"\\u00e4"}']
    generation = SNAPSHOT.generation
    two = Snapshot(
        ITEMS,
        type(generation)("items", 1, 0.0, 2, ("2", "1")),
        dict(zip(["1", "2"], raw, strict=True)),
    )
    question = read_question(BY_NAME["items"], "/items")
    assert question is not None
    assert compose(two, question) == b'{"items":[' + raw[1] + b"," + raw[0] + b"]}"


def test_one_row() -> None:
    assert composed("/items/10", name="items-by-id") == {"item": ROWS[1]}
    assert composed("/items/77", name="items-by-id") is None


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/items", ["1", "10", "2", "3"]),
        ("/items?numToSkip=1&numToFetch=2", ["10", "2"]),
        ("/items?numToSkip=9", []),
        ("/items?orderDirection=asc", ["1", "10", "2", "3"]),
        ("/items?orderDirection=desc", ["3", "2", "10", "1"]),
        ("/items?orderBy=tokenId", ["1", "2", "3", "10"]),
        ("/items?orderBy=tokenId&orderDirection=desc", ["10", "3", "2", "1"]),
        ("/items?orderBy=price", None),
        ("/items?orderBy=nothing", None),
        ("/items?isAvailable=true", ["1", "2", "3"]),
        ("/items?isAvailable=true&isSellableToShop=true", ["1", "3"]),
        ("/items?tokenIds[]=3&tokenIds[]=10&tokenIds[]=99", ["10", "3"]),
        ("/items?tokenIds_ge=2&tokenIds_le=9", ["2", "3"]),
        (
            "/items?isAvailable=true&numToFetch=1&orderBy=tokenId&orderDirection=desc",
            ["3"],
        ),
    ],
)
def test_lists(target: str, expected: list[str] | None) -> None:
    assert ids(target) == expected


def test_a_field_that_a_row_lacks_is_no_filter() -> None:
    assert ids("/items?isAvailable=true", snapshot_of(ITEMS, [*ROWS, {"tokenId": 4}])) is None


def test_without_an_order_only_a_column_gives_one() -> None:
    unordered = snapshot_of(ITEMS, ROWS, in_order=False)
    assert ids("/items", unordered) is None
    assert ids("/items?orderDirection=asc", unordered) is None
    assert ids("/items?orderBy=tokenId", unordered) == ["1", "2", "3", "10"]
    assert ids("/items?orderDirection=desc", unordered) is None


def test_down_is_the_reverse_of_up_only_where_none_are_equal() -> None:
    equal = [{"id": "7", "tokenId": 1}, {"id": "7", "tokenId": 2}]
    question = read_question(BY_NAME["items"], "/items?orderDirection=desc")
    assert question is not None
    assert compose(snapshot_of(ITEMS, equal), question) is None


def test_a_fan_has_its_own_rows() -> None:
    choices = COLLECTIONS["action-choices"]
    rows = [{"id": "a", "actionId": 0}, {"id": "b", "actionId": 1100}, {"id": "c", "actionId": 0}]
    snapshot = snapshot_of(choices, rows)
    name = "action-choices-by-actionId"
    found = composed("/action-choices/0", snapshot, name)
    assert [row["id"] for row in found["actionChoices"]] == ["a", "c"]
    assert composed("/action-choices/5000", snapshot, name) == {"actionChoices": []}


def test_only_what_was_proved_is_answered() -> None:
    question = read_question(BY_NAME["items"], "/items?numToFetch=2&isAvailable=true")
    assert question is not None
    forms = ["list", "page", "flag isAvailable"]
    for proved in [(), ("list",), ("list", "page"), ("page", "flag isAvailable")]:
        snapshot = snapshot_of(ITEMS, ROWS, facts={"proved": dict.fromkeys(proved, 1.0)})
        assert answer(snapshot, question) is None
    whole = snapshot_of(ITEMS, ROWS, facts={"proved": dict.fromkeys(forms, 1.0)})
    assert answer(whole, question) == compose(whole, question) != None  # noqa: E711
    assert answer(SNAPSHOT, question) is None


values = st.one_of(
    st.integers(0, 40), st.integers(0, 40).map(str), st.booleans(), st.none(), st.text(max_size=2)
)
rows = st.lists(
    st.fixed_dictionaries({"tokenId": values}, optional={"isAvailable": values, "rank": values}),
    max_size=8,
)


@given(
    rows,
    st.booleans(),
    st.sampled_from([None, "tokenId", "rank", "id", ""]),
    st.booleans(),
    st.booleans(),
    st.one_of(st.none(), st.frozensets(st.integers(0, 40).map(str), max_size=4)),
    st.one_of(st.none(), st.tuples(st.integers(0, 40), st.integers(0, 40))),
    st.integers(0, 9),
    st.one_of(st.none(), st.integers(1, 9)),
)
def test_what_is_answered_can_be_read_in_no_other_way(
    found: list[dict[str, Any]],
    in_order: bool,
    field: str | None,
    descending: bool,
    flag: bool,
    wanted: frozenset[str] | None,
    span: tuple[int, int] | None,
    skip: int,
    take: int | None,
) -> None:
    numbered: list[dict[str, Any]] = [{"id": str(place), **row} for place, row in enumerate(found)]
    collection = COLLECTIONS["quests"]
    snapshot = snapshot_of(collection, numbered, in_order=in_order)
    order = None if field is None else Order(field, descending, own=field == "id")
    flags = ("isAvailable",) if flag else ()
    question = Many(
        collection, "quests", None, flags, "tokenId", wanted, span, order, skip, take, False
    )
    body = compose(snapshot, question)
    if body is None:
        return
    kept = [row for row in numbered if not flag or row["isAvailable"] is True]
    kept = [row for row in kept if wanted is None or str(row["tokenId"]) in wanted]
    kept = [row for row in kept if span is None or span[0] <= int(row["tokenId"]) <= span[1]]
    if order is None or order.own:
        assert in_order or order is not None
        ordered = kept[::-1] if descending and order is not None else kept
        assert orjson.loads(body) == {"quests": page(ordered, skip, take)}
        return
    # Sorted as numbers and as what they are, and whichever of two equals came first.
    for reading in (lambda row: int(row[field]), lambda row: row[field]):
        for before in (kept, kept[::-1]):
            ordered = sorted(before, key=reading, reverse=descending)
            assert orjson.loads(body) == {"quests": page(ordered, skip, take)}


def page(rows: list[dict[str, Any]], skip: int, take: int | None) -> list[dict[str, Any]]:
    """The rows that are asked for of all."""
    return rows[skip:] if take is None else rows[skip : skip + take]

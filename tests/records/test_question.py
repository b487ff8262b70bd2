"""Which questions are about records, and what they ask of them."""

from __future__ import annotations

from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.cache.key import canonicalise
from app.errors import RequestRefused
from app.kingdom.catalogue import OPERATIONS, Catalogue
from app.kingdom.collections import COLLECTIONS, Extent
from app.kingdom.operation import Operation
from app.records.question import Many, One, Order, Question, collection_of, read_question

CATALOGUE = Catalogue()


def read(target: str) -> Question | None:
    """The question as a client would send it."""
    path, _, query = target.partition("?")
    match = next(one for one in CATALOGUE.at(path) if one.operation.method == "GET")
    key = canonicalise(match, query.encode()).key
    return read_question(key.operation, key.target)


def many(target: str) -> Many:
    """One about a list."""
    question = read(target)
    assert isinstance(question, Many)
    return question


def test_one_row_by_its_id() -> None:
    question = read("/items/10240")
    assert isinstance(question, One)
    assert (question.collection.name, question.envelope, question.id) == ("items", "item", "10240")
    assert question.forms == {"one"}


def test_an_id_is_read_as_it_was_meant() -> None:
    question = read("/actions/a%20b")
    assert isinstance(question, One)
    assert question.id == "a b"


def test_an_object_of_a_fan_is_one_row() -> None:
    question = read("/promotions/3")
    assert isinstance(question, One)
    assert (question.collection.name, question.id) == ("promotions", "3")


def test_the_plain_list() -> None:
    question = many("/items")
    assert (question.skip, question.take, question.order) == (0, 1000, None)
    assert question.forms == {"list"}


def test_all_of_it_together() -> None:
    question = many(
        "/items?isAvailable=true&tokenIds=3,1&orderBy=tokenId&orderDirection=desc"
        "&numToSkip=1&numToFetch=2&isSellableToShop=true"
    )
    assert question.flags == ("isAvailable", "isSellableToShop")
    assert (question.by, question.ids) == ("tokenId", frozenset(["1", "3"]))
    assert question.span is None
    assert question.order == Order("tokenId", descending=True, own=False)
    assert (question.skip, question.take) == (1, 2)
    assert question.forms == {
        "list", "page", "ids", "flag isAvailable", "flag isSellableToShop", "order tokenId desc",
    }  # fmt: skip


def test_a_range_has_both_ends() -> None:
    assert many("/items?tokenIds_ge=5&tokenIds_le=9").span == (5, 9)


def test_the_own_column_is_known() -> None:
    assert many("/items?orderDirection=desc").order == Order("id", descending=True, own=True)
    assert many("/items?orderBy=id").order is None
    assert many("/base-pets?orderDirection=desc").order == Order("", descending=True, own=True)


def test_a_fan_is_in_the_path() -> None:
    question = many("/action-choices/1100?isAvailable=true")
    assert question.fan == "1100"
    assert question.forms == {"list 1100", "flag isAvailable"}


def test_pages_are_as_long_as_the_upstream_makes_them() -> None:
    assert many("/clans?simplified=true").take == 100
    assert many("/base-pets").take == 100
    assert many("/avatars").take is None
    assert many("/clan-tiers?orderBy=price").take is None


@pytest.mark.parametrize(
    "target",
    [
        "/players",
        "/players/5",
        "/core-data",
        "/orders",
        "/clans",
        "/clans/30000",
        "/clans?simplified=true&name=a",
        "/clans?simplified=yes",
        "/clans?simplified=true&simplified=true",
        "/quests?playerId=5",
        "/action-choices/77",
        "/instant-vrf-actions?actionType=EGG",
        "/player-day-datas?dateFrom=1",
        "/items?isAvailable=false",
        "/items?isAvailable=TRUE",
        "/items?isAvailable=true&isAvailable=true",
        "/items?numToFetch=0",
        "/items?numToFetch=1001",
        "/items?numToFetch=007",
        "/items?numToFetch=",
        "/items?numToFetch=5&numToFetch=6",
        "/items?numToSkip=-1",
        "/items?numToSkip=1e3",
        "/items?numToSkip=99999999999999999999",
        "/items?orderBy=",
        "/items?orderBy=item.id",
        "/items?orderBy=a&orderBy=b",
        "/items?orderDirection=DESC",
        "/items?orderDirection=up",
        "/items?tokenIds=",
        "/items?tokenIds=1,x",
        "/items?tokenIds=01",
        "/items?tokenIds_ge=5",
        "/items?tokenIds_le=5",
        "/items?tokenIds_ge=9&tokenIds_le=5",
        "/items?tokenIds_ge=0&tokenIds_le=1000",
        "/items?tokenIds=1&tokenIds_ge=0&tokenIds_le=9",
        f"/items?tokenIds={','.join(map(str, range(501)))}",
    ],
)
def test_everything_else_goes_upstream(target: str) -> None:
    assert read(target) is None


def test_only_whole_collections_that_are_served_are_asked() -> None:
    for operation in OPERATIONS:
        collection = collection_of(operation)
        if collection is not None:
            assert collection.served
            assert collection.extent is Extent.WHOLE
            assert operation.method == "GET"
    homes = {home.name for one in OPERATIONS if (home := collection_of(one))}
    assert homes == {one.name for one in COLLECTIONS.values() if one.served}


@given(
    st.sampled_from([one for one in OPERATIONS if one.method == "GET"]),
    st.lists(st.text(min_size=1, max_size=9), min_size=3, max_size=3),
    st.lists(
        st.tuples(
            st.sampled_from(
                [
                    "numToSkip",
                    "numToFetch",
                    "orderBy",
                    "orderDirection",
                    "tokenIds[]",
                    "isAvailable",
                ]
            ),
            st.one_of(st.text(max_size=9), st.integers().map(str), st.just("true")),
        ),
        max_size=5,
    ),
)
def test_nothing_breaks_it(
    operation: Operation, parts: list[str], pairs: list[tuple[str, str]]
) -> None:
    path = operation.path
    for name, part in zip(operation.path_parameters, parts, strict=False):
        path = path.replace(f"{{{name}}}", quote(part, safe=""))
    for match in CATALOGUE.at(path):
        if match.operation.method != "GET":
            continue
        try:
            key = canonicalise(match, urlencode(pairs).encode()).key
        except RequestRefused:
            continue
        question = read_question(key.operation, key.target)
        assert question is None or question.collection.served

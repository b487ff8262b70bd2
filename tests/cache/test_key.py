"""What makes two requests the same question."""

from __future__ import annotations

import random
from urllib.parse import quote

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.cache.key import MAX_VALUES, Canonical, canonicalise
from app.errors import RequestRefused
from app.kingdom.catalogue import OPERATIONS, Catalogue
from app.kingdom.operation import Operation

CATALOGUE = Catalogue()


def ask(path: str, query: str = "", body: object = None) -> Canonical:
    match = CATALOGUE.at(path)[0]
    return canonicalise(match, query.encode(), None if body is None else orjson.dumps(body))


def target(path: str, query: str = "") -> str:
    return ask(path, query).key.target


@pytest.mark.parametrize(
    ("path", "query", "expected"),
    [
        ("/players/", "", "/players"),
        ("/players", "name=ada&exactName=b", "/players?exactName=b&name=ada"),
        ("/players", "numToSkip=0&numToFetch=1000&orderBy=id&simplified=false", "/players"),
        ("/clans", "numToFetch=100", "/clans"),
        ("/clans", "numToFetch=1000", "/clans?numToFetch=1000"),
        ("/clan-members", "includePlayerRanks=false", "/clan-members"),
        ("/players", "isActive=false", "/players?isActive=false"),
        (
            "/players",
            "tokenIds[]=2&tokenIds[]=10&tokenIds[]=2",
            "/players?tokenIds[]=2&tokenIds[]=10",
        ),
        ("/players", "tokenIds=2&tokenIds=10", "/players?tokenIds[]=2&tokenIds[]=10"),
        ("/players", "tokenIds%5B%5D=10&tokenIds%5B%5D=2", "/players?tokenIds[]=2&tokenIds[]=10"),
        ("/players", "tokenIds[1]=2&tokenIds[0]=10", "/players?tokenIds[]=2&tokenIds[]=10"),
        ("/players", "tokenIds=10,2", "/players?tokenIds[]=2&tokenIds[]=10"),
        ("/players", "names=a,b", "/players?names[]=a%2Cb"),
        ("/players", "owner=0xABcd", "/players?owner=0xabcd"),
        ("/players", "owner=Nobody", "/players?owner=Nobody"),
        ("/players", "name=0xAB", "/players?name=0xAB"),
        ("/users/0xABcd", "", "/users/0xabcd"),
        ("/items/a b%3F", "", "/items/a%20b%3F"),
        ("/players", "name=", "/players?name="),
        ("/players", "name=%C3%A9&name=x", "/players?name=%C3%A9&name=x"),
    ],
)
def test_canonical_targets(path: str, query: str, expected: str) -> None:
    assert target(path, query) == expected


def test_unknown_parameters_are_left_out_and_named_once() -> None:
    canonical = ask("/orders", "isBuyOrder=false&_=123&_=124&tokenId[]=3&side=sell")
    assert canonical.key.target == "/orders?side=sell"
    assert canonical.ignored == ("isBuyOrder", "_", "tokenId[]")


def test_the_order_of_repeated_values_of_no_set_is_kept() -> None:
    assert target("/players", "name=b&name=a") == "/players?name=b&name=a"


def test_look_up_bodies_are_sets() -> None:
    first = ask("/players/multi", "", {"owners": ["0xB", "0xa", "0xA"]})
    again = ask("/players/multi/", "", {"owners": ["0xa", "0xb"]})
    assert first.key.digest == again.key.digest
    assert first.key.body == b'{"owners":["0xa","0xb"]}'


def test_numbers_and_texts_in_a_body_stay_apart() -> None:
    body = ask("/queued-actions/multi", "", {"playerIds": [10, "10", 9]}).key.body
    assert orjson.loads(body or b"") == {"playerIds": [9, 10, "10"]}


def test_unknown_fields_of_a_body_are_left_out_and_named() -> None:
    canonical = ask("/players/multi", "", {"playerIds": ["1"]})
    assert canonical.key.body == b"{}"
    assert canonical.ignored == ("playerIds",)


def test_a_wrong_value_in_a_body_is_the_upstreams_to_judge() -> None:
    assert ask("/players/multi", "", {"owners": "all"}).key.body == b'{"owners":"all"}'
    assert ask("/players/multi", "", {"owners": [{}]}).key.body == b'{"owners":[{}]}'


@pytest.mark.parametrize(
    ("path", "query", "body", "status"),
    [
        ("/players", b"name=%ff", None, 400),
        ("/players", "name=é".encode(), None, 400),
        ("/players/multi", b"", b"{", 400),
        ("/players/multi", b"", b"", 400),
        ("/players/multi", b"", b"[]", 422),
        ("/items/" + "9" * 200, b"", None, 404),
        ("/items/%00", b"", None, 404),
        ("/players", b"tokenIds=" + b",".join(b"%d" % n for n in range(MAX_VALUES + 1)), None, 422),
        ("/players", b"&".join(b"name=%d" % n for n in range(MAX_VALUES + 200)), None, 422),
    ],
)
def test_what_is_no_question_is_refused(
    path: str, query: bytes, body: bytes | None, status: int
) -> None:
    with pytest.raises(RequestRefused) as refused:
        canonicalise(CATALOGUE.at(path)[0], query, body)
    assert refused.value.status == status
    assert refused.value.detail


def test_ten_thousand_ids_are_refused() -> None:
    with pytest.raises(RequestRefused, match="owners may have"):
        ask("/players/multi", "", {"owners": [f"0x{n:x}" for n in range(10_000)]})


def values_for(operation: Operation) -> st.SearchStrategy[dict[str, list[str]]]:
    word = st.text(min_size=1, max_size=8)
    return st.dictionaries(
        st.sampled_from([one.name for one in operation.query] or ["none"]),
        st.lists(word, min_size=1, max_size=3),
        max_size=4,
    )


@given(st.data())
def test_shuffling_a_query_asks_the_same_and_asking_twice_is_stable(data: st.DataObject) -> None:
    operation = data.draw(st.sampled_from(OPERATIONS))
    given_values = data.draw(values_for(operation))
    path = operation.path.replace("{", "").replace("}", "")
    match = next(match for match in CATALOGUE.at(path) if match.operation is operation)
    pairs = [(name, value) for name, values in given_values.items() for value in values]
    shuffled = list(given_values.items())
    random.Random(data.draw(st.integers())).shuffle(shuffled)

    def written(rows: list[tuple[str, str]]) -> bytes:
        return "&".join(f"{quote(n, safe='')}={quote(v, safe='')}" for n, v in rows).encode()

    body = b"{}" if operation.body else None
    first = canonicalise(match, written(pairs), body)
    again = canonicalise(match, written([(n, v) for n, vs in shuffled for v in vs]), body)
    assert first.key.digest == again.key.digest
    canonical_query = first.key.target.partition("?")[2].encode()
    assert canonicalise(match, canonical_query, body).key.target == first.key.target


@given(st.binary(max_size=200))
def test_any_query_is_a_question_or_refused(query: bytes) -> None:
    match = CATALOGUE.at("/players")[0]
    try:
        target = canonicalise(match, query).key.target
    except RequestRefused:
        return
    assert target.isascii()
    assert target.isprintable()
    assert " " not in target

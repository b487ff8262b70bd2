"""Which questions are batches, and their parts."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.cache.batches import LONGEST_TARGET, MOST_IDS, read_batch
from app.cache.key import canonicalise
from app.kingdom.catalogue import OPERATIONS
from tests.cache.lookups import CATALOGUE, batch_of, heroes, look_up

ADDRESSES = {"owners": ["0xb", "0xA"]}


def test_ids_in_a_query() -> None:
    batch = batch_of(look_up("/players", "tokenIds=7,10&isActive=true&numToSkip=5&numToFetch=9"))
    assert list(batch.ids) == ["7", "10"]
    assert batch.filters == ("isActive=true",)
    assert (batch.order_by, batch.direction, batch.skip, batch.take) == ("id", None, 5, 9)
    assert (batch.descending, batch.reach, batch.page_size) == (False, 14, 1000)


def test_ids_in_a_body() -> None:
    batch = batch_of(look_up("/players/multi", "orderBy=totalXP&orderDirection=desc", ADDRESSES))
    assert list(batch.ids) == ["0xa", "0xb"]
    assert (batch.order_by, batch.descending, batch.look_up.field) == ("totalXP", True, "owner")


@pytest.mark.parametrize(
    ("path", "query", "body"),
    [
        ("/players", "", None),
        ("/players", "tokenIds=", None),
        ("/players", "tokenIds=7,x", None),
        ("/players", "tokenIds=07", None),
        ("/players", "avatarIds=1,2", None),
        ("/players", "names=a&names=b", None),
        ("/players", "tokenIds=7&numToFetch=1001", None),
        ("/players", "tokenIds=7&numToFetch=0", None),
        ("/players", "tokenIds=7&numToFetch=many", None),
        ("/players", "tokenIds=7&numToSkip=-1", None),
        ("/players", "tokenIds=7&numToSkip=1&numToSkip=2", None),
        ("/players", "tokenIds=7&orderBy=", None),
        ("/players", "tokenIds=7&orderBy=a%26b", None),
        ("/players", "tokenIds=7&orderDirection=up", None),
        ("/players/7", "tokenIds=7", None),
        ("/clans", "tierIds=1,2", None),
        ("/players/multi", "", {"owners": []}),
        ("/players/multi", "", {"owners": "0xa"}),
        ("/players/multi", "", {"owners": ["0xa", "me"]}),
        ("/players/multi", "", {"owners": ["0xa", {}]}),
        ("/players/multi", "", {"owners": [True]}),
        ("/players/multi", "", {}),
        ("/queued-actions/multi", "", {"playerIds": [7, "7"]}),
        # Nobody knows in which order these come.
        ("/player-self-mades/multi", "", {"playerIds": ["7"]}),
    ],
)
def test_everything_else_is_asked_as_it_is(path: str, query: str, body: object) -> None:
    assert read_batch(look_up(path, query, body)) is None


def test_rows_are_shared_by_questions_that_give_the_same_rows() -> None:
    def shape(query: str) -> str:
        return batch_of(look_up("/players", query)).shape

    same = shape("tokenIds=7")
    assert shape("tokenIds=8,9&numToSkip=3&numToFetch=2&orderDirection=desc") == same
    assert shape("tokenIds=7&orderBy=id") == same
    assert shape("tokenIds=7&simplified=false") == same
    others = ["simplified=true", "isActive=true", "owner=0xa", "orderBy=totalXP", "names=a"]
    shapes = {shape(f"tokenIds=7&{other}") for other in others} | {same}
    assert len(shapes) == 6
    items = [look_up(f"/user-item-nfts/{who}", "tokenIds=7") for who in ("0xa", "0xb")]
    assert len({batch_of(key).shape for key in items}) == 2


@pytest.mark.parametrize(
    ("count", "sizes"), [(1, [1]), (444, [444]), (500, [250, 250]), (1700, [425] * 4)]
)
def test_parts_in_a_query_are_short_enough(count: int, sizes: list[int]) -> None:
    batch = batch_of(look_up("/players", heroes(0, count)))
    parts = batch.parts(list(batch.ids))
    assert [len(part) for part in parts] == sizes
    assert [one for part in parts for one in part] == list(batch.ids)
    assert all(len(batch.key_of(part).target) <= LONGEST_TARGET for part in parts)


def test_parts_of_a_body() -> None:
    ids = [f"0x{number:040x}" for number in range(1700)]
    batch = batch_of(look_up("/players/multi", "simplified=true", {"owners": ids}))
    parts = batch.parts(ids)
    assert [len(part) for part in parts] == [425] * 4
    assert [len(part) for part in batch.parts(ids[:MOST_IDS])] == [500]
    assert batch.parts([]) == []
    asked = batch.key_of(parts[1])
    assert asked.target == "/players/multi?simplified=true"
    assert orjson.loads(asked.body or b"") == {"owners": ids[425:850]}


def test_a_filter_that_leaves_no_room_makes_parts_of_one() -> None:
    batch = batch_of(look_up("/players", f"tokenIds=7,8&name={'x' * LONGEST_TARGET}"))
    assert batch.parts(["7", "8"]) == [["7"], ["8"]]


def test_the_ids_of_rows() -> None:
    batch = batch_of(look_up("/players", "tokenIds=7,8"))
    values: list[object] = ["7", 8, "9", None, {}, True]
    assert [batch.id_in(value) for value in values] == ["7", "8", None, None, None, None]
    wallets = batch_of(look_up("/players/multi", "", ADDRESSES))
    assert [wallets.id_in(value) for value in ("0xA", "0xb", "0xc")] == ["0xa", "0xb", None]


def test_the_field_of_a_column_by_another_name() -> None:
    batch = batch_of(look_up("/queued-actions/multi", "", {"playerIds": ["7"]}))
    assert (batch.order_by, batch.field) == ("queueId", "queuedId")


FILTERS = {
    "isActive": "true",
    "simplified": "true",
    "names": "b",
    "owner": "0xA",
    "name": "%C3%A9%26=",
    "orderBy": "totalXP",
    "orderDirection": "asc",
    "avatarIds": "3,1",
}


@given(
    st.lists(st.integers(0, 10**6), min_size=1, max_size=9, unique=True),
    st.lists(st.sampled_from(sorted(FILTERS)), unique=True),
)
def test_a_part_is_a_canonical_question_itself(ids: list[int], filters: list[str]) -> None:
    pieces = [f"{name}={FILTERS[name]}" for name in filters]
    tokens = "tokenIds=" + ",".join(map(str, ids))
    whole = look_up("/players", "&".join([*pieces, tokens, "numToSkip=3", "numToFetch=20"]))
    asked = batch_of(whole).key_of(list(batch_of(whole).ids))
    plain = look_up("/players", "&".join([*pieces, tokens]))
    assert asked == plain
    [match, *_] = CATALOGUE.at("/players")
    assert canonicalise(match, asked.target.partition("?")[2].encode()).key == asked


def test_every_look_up_of_the_catalogue_names_parameters_and_fields_that_there_are() -> None:
    with_look_up = [one for one in OPERATIONS if one.look_up]
    assert {one.name for one in with_look_up} == {
        *("players", "players-multi", "queued-actions-multi", "user-item-nfts-multi"),
        *("player-self-mades-multi", "items", "user-item-nfts-by-userAddress"),
    }
    for operation in with_look_up:
        assert operation.look_up
        name = operation.look_up.parameter
        declared = operation.body.name == name if operation.body else None
        assert declared or operation.query_by_name[name].is_array

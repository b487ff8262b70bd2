"""Every operation: envelope, types, sorting, paging, refusals, determinism."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from app.errors import RequestRefused
from app.kingdom.catalogue import OPERATIONS
from app.kingdom.operation import Operation, Shape
from app.sandbox.answers import MOST_IDS
from tests.sandbox.asker import NOW, Asker
from tests.sandbox.entities import load_entities

each = pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
paged = pytest.mark.parametrize(
    "operation", [one for one in OPERATIONS if one.page_size], ids=lambda one: one.name
)


def test_there_are_71() -> None:
    assert len(OPERATIONS) == 71


@each
def test_it_answers_under_its_envelope(ask: Asker, operation: Operation) -> None:
    answer = orjson.loads(ask.raw(*ask.example(operation)))
    value = answer.pop(operation.envelope)
    assert isinstance(value, list if operation.shape is Shape.LIST else dict)
    assert value
    assert set(answer) == ({"_meta"} if operation.name == "orders" else set())


@each
def test_rows_are_of_the_published_types(ask: Asker, operation: Operation) -> None:
    entities = load_entities()
    value = ask(*ask.example(operation))
    rows = value if isinstance(value, list) else [value]
    found = {problem for row in rows for problem in entities.problems(row, operation.entity or "")}
    assert found == set()


SIMPLIFIED = [
    ("/players?simplified=true", "PlayerSimplified"),
    ("/activities?simplified=true", "ActivitySimplified"),
    ("/donations?simplified=true", "DonationSimplified"),
    ("/clan-battles?simplified=true", "ClanBattleSimplified"),
]


@pytest.mark.parametrize(("target", "entity"), SIMPLIFIED)
def test_simplified_rows_are_of_the_published_types(ask: Asker, target: str, entity: str) -> None:
    entities = load_entities()
    rows = ask(target)
    assert {problem for row in rows for problem in entities.problems(row, entity)} == set()
    whole = ask(target.partition("?")[0])
    assert len(orjson.dumps(rows)) < len(orjson.dumps(whole))


def test_a_simplified_player_has_no_more_than_its_class(ask: Asker) -> None:
    fields = load_entities().fields("PlayerSimplified")
    assert set(ask("/players?simplified=true&numToFetch=1")[0]) == set(fields)


def test_a_player_has_no_more_than_its_class(ask: Asker) -> None:
    fields = load_entities().fields("Player")
    assert set(ask("/players?numToFetch=1")[0]) == set(fields)


@each
def test_the_same_question_has_the_same_bytes(operation: Operation) -> None:
    one, other = Asker(players=40, seed=3), Asker(players=40, seed=3)
    target, body = one.example(operation)
    assert one.raw(target, body) == other.raw(target, body, now=NOW + 0.9)


def test_another_seed_has_other_bytes() -> None:
    assert Asker(40, 3).raw("/players") != Asker(40, 4).raw("/players")


@paged
def test_pages_put_together_are_the_whole(ask: Asker, operation: Operation) -> None:
    target, body = ask.example(operation)
    if operation.shape is Shape.OBJECT:
        assert ask(target + "?numToSkip=5", body) == ask(target, body)
        return
    join = "&" if "?" in target else "?"
    whole = ask(f"{target}{join}numToFetch=9", body)
    parts = [
        ask(f"{target}{join}numToFetch=2&numToSkip={skip}", body)
        for skip in range(0, len(whole), 2)
    ]
    assert [row for part in parts for row in part][: len(whole)] == whole


@pytest.mark.parametrize(
    ("target", "rows"),
    [
        ("/players", 300),
        ("/base-pets", 100),
        ("/base-pets?numToFetch=1000", 365),
        ("/clans?numToFetch=1000", 15),
        ("/queued-actions", 1000),
        ("/queued-actions?numToSkip=1795", 5),
        ("/players?numToSkip=300", 0),
        ("/players?numToFetch=1&numToSkip=299", 1),
    ],
)
def test_page_sizes(ask: Asker, target: str, rows: int) -> None:
    assert len(ask(target)) == rows


def test_clans_have_pages_of_100() -> None:
    assert len(Asker(players=2500)("/clans")) == 100


def sorted_by(ask: Asker, target: str, field: str) -> list[Any]:
    return [row[field] for row in ask(f"{target}orderBy={field}")]


@pytest.mark.parametrize(
    ("target", "field"),
    [
        ("/players?", "meleeXP"),
        ("/players?", "totalXP"),
        ("/players?simplified=true&", "combinedRank"),
        ("/players?", "totalDonated"),
        ("/players?", "mintedNumber"),
        ("/orders?", "price"),
        ("/users?", "numActivities"),
        ("/clans?", "totalLevel"),
        ("/lotteries?", "timestamp"),
        ("/token-infos?", "tokenId"),
    ],
)
def test_numbers_sort_as_numbers(ask: Asker, target: str, field: str) -> None:
    rows = ask(f"{target}orderBy={field}&numToFetch=1000")
    if field not in rows[0]:
        ids = [row["id"] for row in rows]
        rows = sorted(ask("/players"), key=lambda row: ids.index(row["id"]))
    values = [int(row[field]) for row in rows]
    assert values == sorted(values)
    assert len(set(values)) > 2


@pytest.mark.parametrize("table", ["players", "items", "actions", "lotteries", "territories"])
def test_ids_sort_as_text(ask: Asker, table: str) -> None:
    ids = [row["id"] for row in ask(f"/{table}?orderBy=id")]
    assert ids == sorted(ids)


def test_names_sort_as_text_and_down_is_the_reverse(ask: Asker) -> None:
    names = [row["name"] for row in ask("/players?orderBy=name")]
    assert names == sorted(names)
    assert names[::-1] == [row["name"] for row in ask("/players?orderBy=name&orderDirection=desc")]


@paged
def test_the_default_order_can_be_spelt_out(ask: Asker, operation: Operation) -> None:
    default = operation.query_by_name["orderBy"].default
    target, body = ask.example(operation)
    if default is None or operation.shape is Shape.OBJECT:
        return
    join = "&" if "?" in target else "?"
    spelt = f"{target}{join}orderBy={default}&orderDirection=asc&numToSkip=0"
    assert ask.raw(spelt, body) == ask.raw(target, body)


@pytest.mark.parametrize(
    "target",
    [
        "/players?orderBy=lowercaseName",
        "/queued-actions?orderBy=queueId",
        "/action-choices/1000?orderBy=choiceId",
        "/activities?orderBy=type&numToFetch=5",
        "/users?orderBy=totalBought",
        "/items?orderBy=melee",
        "/territories?orderBy=percentEmissions",
    ],
)
def test_fields_by_the_names_that_the_contract_gives_them(ask: Asker, target: str) -> None:
    assert ask(target)


REFUSED = [
    "/players?numToFetch=0",
    "/players?numToFetch=1001",
    "/players?numToFetch=-1",
    "/players?numToFetch=ten",
    "/players?numToSkip=-1",
    "/players?numToSkip=1.5",
    "/players?orderDirection=up",
    "/players?orderBy=charm",
    "/players?isActive=perhaps",
    "/players?simplified=yes",
    "/price-levels",
    "/price-levels?tokenId=",
    "/price-levels?tokenId=1&side=both",
    "/orders?side=left",
    "/orders?minAmountRemaining=some",
    "/orders?block=latest",
    "/orders?block=99999999999",
    "/items?tokenIds_ge=1",
    "/items?tokenIds_le=1",
    "/items?tokenIds_ge=1&tokenIds_le=1001",
    "/items?tokenIds_ge=a&tokenIds_le=b",
    "/player-day-datas?dateFrom=yesterday",
    "/instant-vrf-actions?actionType=LUCK",
    "/clan-battles?useDisjunctionClanIds=maybe",
]


@pytest.mark.parametrize("target", REFUSED)
def test_what_makes_no_sense_is_refused(ask: Asker, target: str) -> None:
    with pytest.raises(RequestRefused) as refused:
        ask(target)
    assert refused.value.status == 422


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        {},
        {"owners": "0x1"},
        {"owners": [1.5]},
        {"playerIds": ["200000"]},
        {"owners": None},
    ],
)
def test_a_wrong_body_is_refused(ask: Asker, body: object) -> None:
    with pytest.raises(RequestRefused) as refused:
        ask("/players/multi", body if body is not None else "")
    assert refused.value.status == 422


BY_ID = [one for one in OPERATIONS if one.name.endswith(("-by-id", "-by-address"))]


@pytest.mark.parametrize("operation", BY_ID, ids=lambda operation: operation.name)
@pytest.mark.parametrize(
    "wanted", ["nobody", "0", "-1", "999999999999999999999", "%00", "1e3", "0200000", "9" * 5000]
)
def test_an_id_that_nobody_has(ask: Asker, operation: Operation, wanted: str) -> None:
    target = f"/{operation.segments[0]}/{wanted}"
    if operation.name == "clan-members-by-id":
        assert ask(target) is None
        return
    with pytest.raises(RequestRefused) as refused:
        ask(target)
    assert refused.value.status == 404


@pytest.mark.parametrize("operation", BY_ID, ids=lambda operation: operation.name)
def test_a_row_by_its_id_is_the_row_of_the_list(ask: Asker, operation: Operation) -> None:
    target, _ = ask.example(operation)
    found = ask(target)
    if isinstance(found, dict):
        assert found["id"] == target.rpartition("/")[2]


@pytest.mark.parametrize(
    "target",
    [
        "/user-item-nfts/0xdead",
        "/activities/0xdead",
        "/action-choices/7",
        "/order-book-day-datas/0",
        "/order-book-day-datas/x",
        "/price-levels?tokenId=0",
        "/last-full-equipments/0xdead/200000/1",
        "/queued-actions?playerId=1",
    ],
)
def test_a_list_of_what_nobody_has_is_empty(ask: Asker, target: str) -> None:
    assert ask(target) == []


def test_a_hero_unknown_made_nothing(ask: Asker) -> None:
    with pytest.raises(RequestRefused):
        ask("/player-self-mades/1")


@pytest.mark.parametrize(
    "query",
    [
        "tokenIds[]=200001&tokenIds[]=200002",
        "tokenIds=200001&tokenIds=200002",
        "tokenIds[0]=200001&tokenIds[1]=200002",
        "tokenIds%5B%5D=200002&tokenIds%5B%5D=200001",
    ],
)
def test_arrays_in_every_form(ask: Asker, query: str) -> None:
    assert [row["id"] for row in ask(f"/players?{query}")] == ["200001", "200002"]


def test_unknown_parameters_are_left_alone(ask: Asker) -> None:
    assert ask.raw("/players?limit=1&charm=2") == ask.raw("/players")


def test_a_block_shows_the_kingdom_as_it_was(ask: Asker) -> None:
    meta = orjson.loads(ask.raw("/orders"))["_meta"]
    block = meta[0]["endBlock"]
    assert ask.raw(f"/core-data?block={block}") == ask.raw("/core-data")
    earlier = ask.raw(f"/core-data?block={block - 2 * 86400}")
    assert earlier == ask.raw("/core-data", now=NOW - 86400)
    assert earlier == ask.raw(f"/core-data?block={block - 2 * 86400}", now=NOW + 500)


MOVING = [
    "/players",
    "/players/200000",
    "/queued-actions?isActive=true",
    "/activities",
    "/clans",
    "/clan-battles",
    "/territories",
    "/orders",
    "/sale-histories",
    "/token-infos",
    "/core-data",
    "/pets",
    "/items",
    "/random-words",
    "/donations",
    "/lotteries",
    "/raffle-entries?orderBy=timestamp&orderDirection=desc",
    "/player-day-datas",
    "/subgraph-health",
    "/player-quests",
]


@pytest.mark.parametrize("target", MOVING)
def test_the_kingdom_lives(ask: Asker, target: str) -> None:
    assert ask.raw(target, now=NOW + 2 * 86400) != ask.raw(target, now=NOW)


def test_a_look_up_may_have_so_many_ids_and_no_more(ask: Asker) -> None:
    tokens = "&".join(f"tokenIds[]={number}" for number in range(200_000, 200_000 + MOST_IDS))
    assert len(ask(f"/players?{tokens}")) == 300
    owners = [f"0x{number:040x}" for number in range(MOST_IDS + 1)]
    assert ask("/players/multi", {"owners": owners[1:]}) == []
    for target, body in ((f"/players?{tokens}&tokenIds[]=1", None), ("/players/multi", owners)):
        with pytest.raises(RequestRefused, match="500 ids at most") as refused:
            ask(target, {"owners": body} if body else None)
        assert refused.value.status == 422


def test_equal_rows_that_were_looked_up_go_by_their_ids(ask: Asker) -> None:
    heroes = ask.kingdom.heroes
    body = {"userAddresses": [heroes.address(wallet) for wallet in range(60)]}
    up = ask("/user-item-nfts/multi?numToFetch=1000", body)
    marks = [(row["tokenId"], row["id"]) for row in up]
    assert marks == sorted(marks)
    assert len({token for token, _ in marks}) < len(marks)

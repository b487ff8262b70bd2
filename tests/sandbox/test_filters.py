"""Each filter: the rows it leaves are those that it says, and there are some and not all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from app.errors import RequestRefused
from app.kingdom.catalogue import OPERATIONS
from app.kingdom.operation import Operation
from app.sandbox.filters import RULES, conditions_of, switch, whole_number
from tests.sandbox.asker import NOW, Asker

Row = dict[str, Any]
BIG = "numToFetch=1000"

KEPT: list[tuple[str, str, Callable[[Row], bool]]] = [
    ("/players", "isActive=true", lambda row: row["isActive"]),
    ("/players", "onlyFullMode=true", lambda row: row["isFullMode"]),
    ("/players", "name=AN", lambda row: "an" in row["name"].lower()),
    ("/players", "avatarIds[]=1&avatarIds[]=2", lambda row: row["avatarId"] in ("1", "2")),
    ("/players", "tokenIds[]=200009", lambda row: row["tokenId"] == "200009"),
    ("/queued-actions", "isActive=true", lambda row: row["isActive"]),
    ("/queued-actions", "playerId=200004", lambda row: row["playerId"] == "200004"),
    ("/activities", "playerId=200004", lambda row: row["playerId"] == "200004"),
    ("/activities", "activityType=ActionFinished", lambda r: r["activityType"] == "ActionFinished"),
    (
        "/activities",
        "activityTypesToInclude[]=Buy&activityTypesToInclude[]=Sell",
        lambda row: row["activityType"] in ("Buy", "Sell"),
    ),
    (
        "/activities",
        "activityTypesToSkip[]=SetActionQueue",
        lambda row: row["activityType"] != "SetActionQueue",
    ),
    ("/action-choices/1000", "isAvailable=true", lambda row: row["isAvailable"]),
    ("/player-quests", "completed=true", lambda row: row["completed"]),
    ("/player-quests", "questId=3", lambda row: row["quest"]["id"] == "3"),
    ("/player-promotions", "promotionId=2", lambda row: row["promotionId"] == 2),
    ("/player-promotions", "playerId=200005", lambda row: row["playerId"] == "200005"),
    ("/clans", "name=raven", lambda row: "raven" in row["name"].lower()),
    ("/clans", "exactName=ember%20ORDER", lambda row: row["name"] == "Ember Order"),
    ("/clans", "ownerId=200020", lambda row: row["ownerId"] == "200020"),
    ("/clans", "tierIds[]=3", lambda row: row["tierId"] == 3),
    ("/clans", "onlyHasVaults=true", lambda row: int(row["brushLocked"]) > 0),
    ("/clan-members", "clanId=30002", lambda row: row["clan"] and row["clan"]["id"] == "30002"),
    ("/clan-members", "rank=owner", lambda row: row["rank"] == 6),
    ("/clan-members", "rank=1", lambda row: row["rank"] == 1),
    ("/clan-members", "playerName=el", lambda row: "el" in row["player"]["name"].lower()),
    ("/clan-members", "onlyFullMode=true", lambda row: row["player"]["isFullMode"]),
    (
        "/clan-members",
        "requestedClanId=30003",
        lambda row: row["requestedClan"] and row["requestedClan"]["id"] == "30003",
    ),
    ("/clan-invites", "clanId=30004", lambda row: row["clan"]["id"] == "30004"),
    ("/clan-battles", "clanBattleType=TERRITORY", lambda r: r["clanBattleType"] == "TERRITORY"),
    ("/clan-battles", "clanBattleType=locked_vault", lambda r: r["id"].startswith("b")),
    ("/clan-battles", "didAttackersWin=true", lambda row: row["didAttackersWin"]),
    ("/clan-battles", "attackingClanId=30001", lambda row: row["attackingClan"]["id"] == "30001"),
    ("/clan-battles", "defendingClanId=30001", lambda row: row["defendingClan"]["id"] == "30001"),
    (
        "/clan-battles",
        "attackingClanId=30001&defendingClanId=30001&useDisjunctionClanIds=true",
        lambda row: "30001" in (row["attackingClan"]["id"], row["defendingClan"]["id"]),
    ),
    (
        "/locked-bank-vault-clan-battle-pairs",
        "attackingClanId=30001",
        lambda row: row["attackingClan"]["id"] == "30001",
    ),
    ("/items", "isSellableToShop=true", lambda row: row["isSellableToShop"]),
    ("/items", "isAvailable=true", lambda row: row["isAvailable"]),
    ("/items", "tokenIds[]=1&tokenIds[]=65535", lambda row: row["tokenId"] in (1, 65535)),
    ("/items", "tokenIds_ge=100&tokenIds_le=1099", lambda row: 100 <= row["tokenId"] <= 1099),
    ("/actions", "isAvailable=true", lambda row: row["isAvailable"]),
    ("/passive-actions", "isAvailable=true", lambda row: row["isAvailable"]),
    ("/instant-vrf-actions", "isAvailable=true", lambda row: row["isAvailable"]),
    ("/instant-vrf-actions", "actionType=egg", lambda row: row["actionType"] == 3),
    ("/orders", "side=sell", lambda row: not row["isBuyOrder"]),
    ("/orders", "side=BUY", lambda row: row["isBuyOrder"]),
    ("/orders", "tokenId=1", lambda row: row["tokenId"] == "1"),
    ("/orders", "claimable=true", lambda row: row["claimable"]),
    ("/orders", "minAmountRemaining=90", lambda row: int(row["amountRemaining"]) >= 90),
    ("/failed-orders", "side=buy", lambda row: row["isBuyOrder"]),
    ("/price-levels?tokenId=1", "side=sell", lambda row: not row["isBuyOrder"]),
    ("/sale-histories", "side=buy", lambda row: row["isBuyOrder"]),
    ("/sale-histories", "tokenId=2", lambda row: row["tokenId"] == "2"),
    (
        "/order-book-day-datas/1",
        f"dateFrom={NOW - 5 * 86400}",
        lambda row: int(row["date"]) >= NOW - 5 * 86400,
    ),
    ("/player-day-datas", f"dateTo={NOW - 9 * 86400}", lambda r: int(r["date"]) <= NOW - 9 * 86400),
    (
        "/donation-day-datas",
        f"dateFrom={NOW - 9 * 86400}&dateTo={NOW - 86400}",
        lambda row: NOW - 9 * 86400 <= int(row["date"]) <= NOW - 86400,
    ),
    ("/donations", "name=a", lambda row: "a" in row["player"]["name"].lower()),
    ("/donations", "playerId=200003", lambda row: row["player"]["id"] == "200003"),
    ("/donations", "onlyFullMode=true", lambda row: row["player"]["isFullMode"]),
    ("/raffle-entries", "lotteryId=201", lambda row: row["lotteryId"] == "201"),
    ("/raffle-entries", "raffleId=2", lambda row: row["raffleId"] == "2"),
    ("/raffle-entries", "playerId=200003", lambda row: row["playerId"] == "200003"),
    ("/pets", "name=2000", lambda row: "2000" in row["name"]),
]


@pytest.mark.parametrize(
    ("target", "query", "kept"), KEPT, ids=[f"{target} {query}" for target, query, _ in KEPT]
)
def test_a_filter(ask: Asker, target: str, query: str, kept: Callable[[Row], bool]) -> None:
    everything = pages(ask, target)
    expected = [row["id"] for row in everything if kept(row)]
    assert [row["id"] for row in pages(ask, target, query)] == expected
    assert expected
    assert len(expected) < len(everything)


def pages(ask: Asker, target: str, query: str = "") -> list[Row]:
    """All rows, page after page."""
    rows: list[Row] = []
    while True:
        join = "&" if "?" in target else "?"
        page = ask(f"{target}{join}{BIG}&numToSkip={len(rows)}&{query}")
        rows += page
        if len(page) < 1000:
            return rows


BY_ADDRESS = [
    ("/players", "owner", lambda row: row["owner"]),
    ("/clans", "bankAddress", lambda row: row["bankAddress"]),
    ("/clan-members", "playerOwner", lambda row: row["player"]["owner"]),
    ("/orders", "maker", lambda row: row["maker"]),
    ("/failed-orders", "maker", lambda row: row["maker"]),
    ("/pets", "owner", lambda row: row["owner"]),
    ("/donations", "owner", lambda row: row["player"]["owner"]),
    ("/raffle-entries", "user", lambda row: row["user"]),
    ("/activities", "userAddress", lambda row: row["user"]),
]


@pytest.mark.parametrize(
    ("target", "name", "address_of"),
    BY_ADDRESS,
    ids=[f"{path} {name}" for path, name, _ in BY_ADDRESS],
)
def test_addresses_in_any_case(
    ask: Asker, target: str, name: str, address_of: Callable[[Row], str]
) -> None:
    rows = pages(ask, target)
    address = address_of(rows[len(rows) // 2])
    expected = [row["id"] for row in rows if address_of(row) == address]
    for spelt in (address, "0x" + address[2:].upper()):
        assert [row["id"] for row in pages(ask, target, f"{name}={spelt}")] == expected
    assert pages(ask, target, f"{name}=0xdead") == []


def test_a_user_is_on_either_side_of_a_trade(ask: Asker) -> None:
    rows = pages(ask, "/sale-histories")
    user = rows[0]["taker"]
    expected = [row["id"] for row in rows if user in (row["maker"], row["taker"])]
    assert [row["id"] for row in pages(ask, "/sale-histories", f"user={user}")] == expected


def test_names_whole_in_any_case(ask: Asker) -> None:
    name = ask("/players/200010")["name"]
    for query in (f"exactName={name.upper()}", f"names[]={name.lower()}", f"name={name}"):
        assert [row["id"] for row in ask(f"/players?{query}")] == ["200010"]
    assert ask(f"/players?exactName={name[:-1]}") == []


def test_several_filters_all_count(ask: Asker) -> None:
    both = ask("/players?isActive=true&onlyFullMode=true")
    assert both
    assert all(row["isActive"] and row["isFullMode"] for row in both)


def test_false_is_as_if_nothing_was_said(ask: Asker) -> None:
    assert ask.raw("/players?isActive=false&onlyFullMode=False") == ask.raw("/players")


def test_donations_by_user(ask: Asker) -> None:
    users = ask("/donations?useUsers=true")
    assert all(row["player"] is None and row["user"] == row["id"] for row in users)
    one = users[0]["user"]
    assert ask(f"/donations?useUsers=true&user={one}&playerId=7") == [users[0]]
    assert ask(f"/donations?user={one}") == ask("/donations")


def test_members_with_ranks(ask: Asker) -> None:
    with_ranks = ask("/clan-members?includePlayerRanks=true&numToFetch=3")
    assert [row["player"]["meleeRank"] for row in with_ranks] == [
        ask(f"/players/{row['id']}")["meleeRank"] for row in with_ranks
    ]
    assert "meleeRank" not in ask("/clan-members?numToFetch=1")[0]["player"]


def test_quests_of_a_hero(ask: Asker) -> None:
    begun = {row["quest"]["id"] for row in ask("/player-quests?playerId=200003")}
    assert {row["id"] for row in ask("/quests?playerId=200003")} == begun
    assert ask("/quests?playerId=0") == []


def test_cooldowns_after_a_time(ask: Asker) -> None:
    path = "/locked-bank-vault-clan-battle-pairs"
    times = sorted(int(row["attackingCooldownTimestamp"]) for row in ask(path))
    later = ask(f"{path}?attackingCooldownTimestamp_gt={times[3]}")
    assert len(later) == sum(time > times[3] for time in times)


def test_the_battle_that_is_not_decided(ask: Asker) -> None:
    [last] = ask("/clan-battles?orderBy=attackingTimestamp&orderDirection=desc&numToFetch=1")
    begun = int(last["attackingTimestamp"])
    assert [row["ongoing"] for row in ask("/clan-battles?ongoing=true", now=begun + 5)] == [True]
    assert ask("/clan-battles?ongoing=true", now=begun + 100) == []


def test_items_of_wallets(ask: Asker) -> None:
    heroes = ask.kingdom.heroes
    addresses = [heroes.address(wallet) for wallet in (3, 4)]
    rows = ask("/user-item-nfts/multi", {"userAddresses": [addresses[0].upper(), addresses[1]]})
    assert {row["user"] for row in rows} == set(addresses)
    alone = ask(f"/user-item-nfts/{addresses[0]}")
    assert alone == [row for row in rows if row["user"] == addresses[0]]
    token, slot = alone[0]["tokenId"], alone[0]["item"]["equipPosition"]
    [one] = ask(f"/user-item-nfts/{addresses[0]}?tokenIds[]={token}")
    assert one == alone[0]
    worn = ask(f"/user-item-nfts/{addresses[0]}?equipPosition={slot}")
    assert worn == [row for row in alone if row["item"]["equipPosition"] == slot]


@pytest.mark.parametrize(
    ("target", "body", "field"),
    [
        ("/queued-actions/multi", {"playerIds": ["200001", 200002]}, "playerId"),
        ("/player-self-mades/multi", {"playerIds": ["200001", "200002", "9"]}, "id"),
    ],
)
def test_many_heroes_at_once(ask: Asker, target: str, body: object, field: str) -> None:
    assert {row[field] for row in ask(target, body)} == {"200001", "200002"}


def test_players_of_many_owners(ask: Asker) -> None:
    heroes = ask.kingdom.heroes
    owners = [heroes.address(wallet) for wallet in (0, 5)]
    rows = ask("/players/multi?simplified=true", {"owners": owners})
    expected = sorted(heroes.of_wallet[0] + heroes.of_wallet[5])
    assert [int(row["id"]) - 200_000 for row in rows] == expected
    assert ask("/players/multi", {"owners": []}) == []


def test_what_a_hero_wore_last(ask: Asker) -> None:
    owner = ask("/players/200003")["owner"]
    rows = ask(f"/last-full-equipments/{owner}/200003/1")
    assert [row["combatStyle"] for row in rows] == [1, 2]
    assert [row["skill"] for row in ask(f"/last-full-equipments/{owner}/200003/9")] == [9]
    assert ask(f"/last-full-equipments/{owner}/200004/9") == []


NOT_FILTERS = {
    *("numToSkip", "numToFetch", "orderBy", "orderDirection", "block", "simplified", "useUsers"),
    *("includePlayerRanks", "useDisjunctionClanIds", "user"),
}


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_every_declared_filter_has_a_rule(operation: Operation) -> None:
    names = {one.name for one in operation.query} - NOT_FILTERS
    assert names <= set(RULES.get(operation.segments[0], {}))


def test_plain_values() -> None:
    assert whole_number("a", "12") == 12
    assert switch("a", "TRUE") is True
    assert conditions_of("avatars", {"name": ["x"]}) == ()
    for wrong in ("-1", "1e3", "", "\u0661", "1" * 79):
        with pytest.raises(RequestRefused, match="whole number"):
            whole_number("a", wrong)

"""What must agree in every kingdom, whatever its seed and size; and what moves in it."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.kingdom.levels import level_of
from tests.sandbox.asker import NOW, Asker

Row = dict[str, Any]
kingdoms = st.builds(Asker, st.integers(1, 90), st.integers(0, 2**64 - 1))
moments = st.integers(NOW, NOW + 400 * 86400)
any_kingdom = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
ALL = "numToFetch=1000"


@any_kingdom
@given(kingdoms, moments)
def test_heroes_agree_with_themselves(ask: Asker, now: int) -> None:
    players = ask(f"/players?{ALL}", now=now)
    users = {row["id"]: row for row in ask(f"/users?{ALL}", now=now)}
    queued = {row["id"]: row for row in ask(f"/queued-actions?{ALL}", now=now)}
    for row in players:
        xp = [int(row[field]) for field in row if field.endswith("XP") and field != "totalXP"]
        assert int(row["totalXP"]) == sum(xp)
        assert row["totalLevel"] == sum(map(level_of, xp)) - 1  # hunting is not counted yet
        assert row["owner"] in users
        assert int(row["lastTimestamp"]) <= now
        assert int(row["mintedTimestamp"]) < now
        assert row["isActive"] == bool(row["queuedActions"])
        for action in row["queuedActions"]:
            assert queued[action["id"]] == action
    owners = Counter(row["owner"] for row in players)
    assert {key: row["numPlayers"] for key, row in users.items()} == owners
    assert len({row["name"].lower() for row in players}) == len(players)


@any_kingdom
@given(kingdoms, moments)
def test_ranks_agree_with_xp(ask: Asker, now: int) -> None:
    players = ask(f"/players?{ALL}", now=now - now % 3600)
    for field in ("mining", "health", "combined"):
        known = "totalXP" if field == "combined" else f"{field}XP"
        xp = [int(row[known]) for row in players]
        ranks = [1 + sum(other > one for other in xp) for one in xp]
        assert [row[f"{field}Rank"] for row in players] == ranks


@any_kingdom
@given(kingdoms, moments)
def test_clans_agree_with_their_members(ask: Asker, now: int) -> None:
    members = [row for row in ask(f"/clan-members?{ALL}", now=now) if row["clan"]]
    clans = {row["id"]: row for row in ask(f"/clans?{ALL}", now=now)}
    sizes = Counter(row["clan"]["id"] for row in members)
    players = {row["id"]: row for row in ask(f"/players?{ALL}", now=now)}
    assert {key: row["memberCount"] for key, row in clans.items()} == sizes
    for key, row in clans.items():
        assert row["memberCount"] <= row["tier"]["maxMemberCapacity"]
        assert row["ownerId"] == row["owner"]["id"]
        owned = [one for one in members if one["clan"]["id"] == key and one["rank"] == 6]
        assert [one["id"] for one in owned] == [row["ownerId"]]
        given = [players[one["id"]] for one in members if one["clan"]["id"] == key]
        assert int(row["totalDonated"]) == sum(int(one["totalDonated"]) for one in given)
    for member in members:
        assert member["player"]["name"] == players[member["id"]]["name"]


@any_kingdom
@given(kingdoms, moments)
def test_core_data_agrees_with_the_tables(ask: Asker, now: int) -> None:
    core = ask("/core-data", now=now)
    players = ask(f"/players?{ALL}", now=now)
    givers = ask(f"/donations?{ALL}", now=now)
    members = [row for row in ask(f"/clan-members?{ALL}", now=now) if row["clan"]]
    days = ask(f"/donation-day-datas?{ALL}", now=now)
    assert int(core["totalPlayers"]) == len(players)
    assert int(core["totalUsers"]) == len(ask(f"/users?{ALL}", now=now))
    assert int(core["totalClans"]) == len(ask(f"/clans?{ALL}", now=now))
    assert int(core["totalClanMembers"]) == len(members)
    assert int(core["totalPets"]) == len(ask(f"/pets?{ALL}", now=now))
    total = int(core["totalDonatedAmount"])
    assert total == sum(int(row["totalDonated"]) for row in players)
    assert total == sum(int(row["amount"]) for row in givers)
    assert total == sum(int(row["amount"]) for row in ask("/donations?useUsers=true", now=now))
    assert total == sum(int(row["totalDonated"]) for row in days)
    assert int(core["numDonations"]) == sum(row["numDonators"] for row in days)
    assert int(core["numPlayersDonated"]) == len(givers)


@any_kingdom
@given(kingdoms, moments)
def test_things_refer_to_things_that_are_there(ask: Asker, now: int) -> None:
    tokens = {row["tokenId"] for row in ask(f"/items?{ALL}", now=now)}
    actions = {row["actionId"] for row in ask(f"/actions?{ALL}", now=now)}
    players = {row["id"] for row in ask(f"/players?{ALL}", now=now)}
    users = {row["id"] for row in ask(f"/users?{ALL}", now=now)}
    for order in ask(f"/orders?{ALL}", now=now):
        assert int(order["tokenId"]) in tokens
        assert order["maker"] in users
        assert 0 <= int(order["amountRemaining"]) <= int(order["amount"])
        assert int(order["timestamp"]) <= now
    for sale in ask(f"/sale-histories?{ALL}", now=now):
        assert {sale["maker"], sale["taker"]} <= users
        assert int(sale["timestamp"]) <= now
    for queued in ask(f"/queued-actions?{ALL}", now=now):
        assert queued["actionId"] in actions
        assert queued["playerId"] in players
        over = int(queued["startTime"]) + queued["timespan"]
        assert queued["isActive"] == (now - now % 10 < over) or int(queued["startTime"]) > now
    for pet in ask(f"/pets?{ALL}", now=now):
        assert pet["owner"] in users
    for entry in ask(f"/raffle-entries?{ALL}&orderBy=timestamp&orderDirection=desc", now=now):
        assert entry["playerId"] in players
        assert int(entry["timestamp"]) <= now


@any_kingdom
@given(kingdoms, moments)
def test_ids_are_different(ask: Asker, now: int) -> None:
    for path in (
        *("/players", "/queued-actions", "/activities", "/orders", "/sale-histories", "/clans"),
        *("/player-quests", "/raffle-entries", "/clan-battles", "/pets", "/users", "/lotteries"),
        *("/clan-members", "/clan-invites", "/donations", "/player-promotions", "/token-infos"),
    ):
        ids = [row["id"] for row in ask(f"{path}?{ALL}", now=now)]
        assert len(ids) == len(set(ids)), path


@pytest.fixture(scope="module")
def later(ask: Asker) -> int:
    """When the first queue that runs now has ended."""
    running = ask("/queued-actions?isActive=true&numToFetch=1000")
    return 20 + min(int(row["startTime"]) + int(row["timespan"]) for row in running)


def test_queues_end(ask: Asker, later: int) -> None:
    path = "/queued-actions?isActive=true&numToFetch=1000"
    before = {row["id"] for row in ask(path)}
    assert before - {row["id"] for row in ask(path, now=later)}
    queued = before - {row["id"] for row in ask(path, now=NOW + 3 * 86400)}
    assert queued == before


def test_xp_grows_while_a_queue_runs(ask: Asker) -> None:
    [hero] = ask("/players?isActive=true&numToFetch=1")
    after = ask(f"/players/{hero['id']}", now=NOW + 3600)
    assert int(after["totalXP"]) > int(hero["totalXP"])
    resting = next(row for row in ask("/players") if int(row["lastTimestamp"]) < NOW - 90 * 86400)
    assert ask(f"/players/{resting['id']}", now=NOW + 3600)["totalXP"] == resting["totalXP"]


def test_nothing_is_learned_backwards(ask: Asker) -> None:
    for step in range(0, 40 * 3600, 4 * 3600):
        before = [int(row["totalXP"]) for row in ask("/players", now=NOW + step)]
        after = [int(row["totalXP"]) for row in ask("/players", now=NOW + step + 4 * 3600)]
        assert all(one <= other for one, other in zip(before, after, strict=True))


def test_orders_fill(ask: Asker) -> None:
    path = "/orders?numToFetch=1000&orderBy=id"
    left = {row["id"]: int(row["amountRemaining"]) for row in ask(path)}
    after = {row["id"]: int(row["amountRemaining"]) for row in ask(path, now=NOW + 4 * 3600)}
    both = left.keys() & after.keys()
    assert any(after[key] < left[key] for key in both)
    assert all(after[key] <= left[key] for key in both)


def test_random_words_change_at_midnight(ask: Asker) -> None:
    noon = NOW - NOW % 86400 + 43200
    word = "lastRandomWordsReceived"
    today = ask("/random-words", now=noon)[word]
    assert ask("/random-words", now=noon + 3600)[word] == today
    assert ask("/random-words", now=noon + 86400)[word] != today
    midnight = noon + 43200
    asked = ask("/random-words", now=midnight)
    assert asked["hasLastRequestedRandomWordsBeenReceived"] is False
    assert asked[word] == today


def test_a_kingdom_is_not_shown_before_it_has_settled(ask: Asker) -> None:
    assert ask.raw("/players", now=0) == ask.raw("/players", now=1_000_000_000)


def test_a_big_kingdom_is_only_made_where_it_is_looked_at() -> None:
    big = Asker(players=400_000)
    assert [row["id"] for row in big("/players?tokenIds[]=599999&simplified=true")] == ["599999"]
    assert big("/queued-actions?playerId=590000")[0]["playerId"] == "590000"
    assert big("/pets/20005")["id"] == "20005"


def test_rows_that_were_brought_are_served() -> None:
    rows = [
        {"id": "7", "name": "Bean", "owner": "0xAB"},
        {"id": "8", "name": "Fig", "owner": "0xcd"},
    ]
    ask = Asker(files={"pets": rows, "core-data": {"totalPlayers": "3"}})
    assert ask("/pets") == rows
    assert ask("/pets/8") == rows[1]
    assert ask("/pets?owner=0xAb&orderBy=name&orderDirection=desc") == rows[:1]
    assert ask("/core-data") == {"totalPlayers": "3"}
    assert ask("/players?numToFetch=1")

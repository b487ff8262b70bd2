"""Activities: in time, told apart, and about the right hero."""

from __future__ import annotations

from app.kingdom.constants import ActivityType
from tests.sandbox.asker import NOW, Asker


def test_they_have_happened(ask: Asker) -> None:
    rows = ask("/activities?orderBy=timestamp&orderDirection=desc")
    assert all(int(row["timestamp"]) <= NOW for row in rows)
    assert int(rows[0]["blockNumber"]) > int(rows[-1]["blockNumber"])


def test_kinds_are_of_the_game(ask: Asker) -> None:
    kinds = {row["activityType"] for row in ask("/activities")}
    assert kinds <= set(ActivityType)
    assert len(kinds) > 6


def test_ids_do_not_change_while_they_are_shown(ask: Asker) -> None:
    before = {row["id"]: row for row in ask("/activities?playerId=200002")}
    after = {row["id"]: row for row in ask("/activities?playerId=200002", now=NOW + 3600)}
    for shared in before.keys() & after.keys():
        for field in ("timestamp", "activityType", "hash", "itemTokenIds"):
            assert before[shared][field] == after[shared][field]


def test_they_name_hero_wallet_and_clan(ask: Asker) -> None:
    for row in ask("/activities?numToFetch=200"):
        player = ask(f"/players/{row['playerId']}")
        assert row["player"] == player
        assert row["user"] == player["owner"]
        member = ask(f"/clan-members/{row['playerId']}")
        clan = member["clan"] if member else None
        assert (row["clanId"], row["clanName"]) == (
            (clan["id"], clan["name"]) if clan else ("", "")
        )


def test_simplified_rows_call_the_kind_by_its_old_name(ask: Asker) -> None:
    [whole] = ask("/activities?numToFetch=1")
    [small] = ask("/activities?numToFetch=1&simplified=true")
    assert small["type"] == whole["activityType"]
    assert "activityType" not in small
    assert set(small["player"]) < set(whole["player"])


def test_of_a_wallet(ask: Asker) -> None:
    owner = ask("/players/200003")["owner"]
    rows = ask(f"/activities/{owner}")
    heroes = {row["id"] for row in ask(f"/players?owner={owner}")}
    assert {row["playerId"] for row in rows} == heroes
    assert len(rows) == 4 * len(heroes)

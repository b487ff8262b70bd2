"""Quests, promotions, firsts."""

from __future__ import annotations

from tests.sandbox.asker import NOW, Asker


def test_only_the_last_quest_is_not_completed(ask: Asker) -> None:
    for hero in range(200_000, 200_030):
        rows = ask(f"/player-quests?playerId={hero}")
        assert [row["completed"] for row in rows] == [True] * (len(rows) - 1) + [False] * bool(rows)


def test_what_is_completed_is_done(ask: Asker) -> None:
    for row in ask("/player-quests?completed=true&numToFetch=200"):
        assert row["actionCompletedNum1"] == row["quest"]["actionNum1"]


def test_a_quest_goes_on(ask: Asker) -> None:
    player = next(row["id"] for row in ask("/players") if row["activeQuest"])

    def done(hours: int) -> int:
        quest = ask(f"/players/{player}", now=NOW + hours * 3600)["activeQuest"]
        assert isinstance(quest["actionCompletedNum1"], int)
        return quest["actionCompletedNum1"]

    assert len({done(hours) for hours in range(0, 200, 10)}) > 1


def test_rows_are_in_the_order_of_their_last_change(ask: Asker) -> None:
    times = [int(row["lastUpdatedTimestamp"]) for row in ask("/player-quests")]
    assert times == sorted(times)
    assert times[-1] <= NOW


def test_quests_by_their_row() -> None:
    ask = Asker(players=30, seed=2)
    table = ask.kingdom.table("player-quests")
    for index in table.indices(NOW):
        assert table.find(table.row(index, NOW)["id"], NOW) == index
    for wanted in ("", "200000_", "200000_999", "1_1"):
        assert table.find(wanted, NOW) is None


def test_promotions(ask: Asker) -> None:
    rows = ask("/player-promotions")
    assert len(rows) == 60
    for row in rows:
        assert len(row["itemTokenIds"]) == len(row["amounts"]) == len(row["days"])
        assert row["days"] == sorted(row["days"])
        assert ask(f"/promotions/{row['promotionId']}")["promotionId"] == row["promotionId"]
    assert ask("/player-promotions?playerId=200001") == []


def test_the_firsts(ask: Asker) -> None:
    rows = ask("/first-to-reach-max-skills")
    assert len({row["player"]["id"] for row in rows}) == 17
    assert all(row["user"] == row["player"]["owner"] for row in rows)
    assert len(Asker(players=5)("/first-to-reach-max-skills")) == 5

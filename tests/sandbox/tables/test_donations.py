"""``/donations``: by hero and by user."""

from __future__ import annotations

from tests.sandbox.asker import Asker


def test_ranks_follow_the_amounts(ask: Asker) -> None:
    for query in ("", "?useUsers=true"):
        rows = ask(f"/donations{query}")
        rows.sort(key=lambda row: int(row["donationAmountRank"]))
        amounts = [int(row["amount"]) for row in rows]
        assert amounts == sorted(amounts, reverse=True)
        assert rows[0]["donationAmountRank"] == "1"


def test_the_top_donors_as_a_bot_asks_for_them(ask: Asker) -> None:
    query = "orderBy=donationAmountRank&orderDirection=desc&numToFetch=10&useUsers=true"
    ranks = [int(row["donationAmountRank"]) for row in ask(f"/donations?{query}")]
    assert ranks == sorted(ranks, reverse=True)
    assert len(ranks) == 10


def test_a_heros_donations_are_its_own(ask: Asker) -> None:
    for row in ask("/donations?numToFetch=20"):
        player = ask(f"/players/{row['id']}")
        assert row["player"] == player
        assert row["amount"] == player["totalDonated"]
        assert int(row["lastDonatedAmount"]) <= int(row["amount"])


def test_a_users_donations_are_those_of_its_heroes(ask: Asker) -> None:
    for row in ask("/donations?useUsers=true&numToFetch=20"):
        user = ask(f"/users/{row['user']}")
        assert row["amount"] == user["totalDonated"]
        assert user["numPlayersDonated"] > 0


def test_the_smaller_row(ask: Asker) -> None:
    [small] = ask("/donations?simplified=true&numToFetch=1")
    [whole] = ask("/donations?numToFetch=1")
    assert set(small) == set(whole)
    assert set(small["player"]) < set(whole["player"])

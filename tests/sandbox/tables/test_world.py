"""The kingdom as a whole."""

from __future__ import annotations

from tests.sandbox.asker import NOW, Asker


def test_totals_grow(ask: Asker) -> None:
    before, after = ask("/core-data"), ask("/core-data", now=NOW + 86_400)
    for field in ("shopTotalSold", "shopTotalBought", "totalBrushBurned", "numActivities"):
        assert int(after[field]) > int(before[field])
    for field in ("totalDonatedAmount", "numDonations", "totalTerritoryBattles"):
        assert int(after[field]) >= int(before[field])


def test_shares_are_whole(ask: Asker) -> None:
    core = ask("/core-data")
    for name in ("shop", "pet", "promotion", "player", "clan", "lockedBankVault"):
        shares = [int(core[f"{name}{kind}Percentage"]) for kind in ("Burnt", "Treasury", "Dev")]
        assert sum(shares) == 100


def test_who_was_last(ask: Asker) -> None:
    core = ask("/core-data")
    assert core["lastMintedPlayer"]["id"] == core["maxId"] == "200299"
    assert core["lastMintedPet"]["id"] == "20099"
    last = core["lastQueuedActionPlayer"]
    assert core["lastQueuedActions"] == [row["id"] for row in last["queuedActions"]]


def test_the_indexer_is_behind_the_chain(ask: Asker) -> None:
    health = ask("/subgraph-health")
    assert 0 < int(health["chainHeadBlock"]) - int(health["latestBlock"]) < 10
    later = ask("/subgraph-health", now=NOW + 1)
    assert int(later["latestBlock"]) > int(health["latestBlock"])


def test_a_row_for_each_day(ask: Asker) -> None:
    rows = ask("/player-day-datas?orderDirection=desc&numToFetch=30")
    dates = [int(row["date"]) for row in rows]
    assert dates == list(range(dates[0], dates[0] - 30 * 86_400, -86_400))
    assert dates[0] <= NOW < dates[0] + 86_400
    assert all(0 < row["evolvedPlayersActive"] < row["playersActive"] <= 300 for row in rows)
    earlier = ask("/player-day-datas?orderDirection=desc&numToFetch=29", now=NOW - 86_400)
    assert earlier == rows[1:], "past days never change"


def test_a_random_number_a_day(ask: Asker) -> None:
    words = {
        ask("/random-words", now=NOW + day * 86_400)["lastRandomWordsReceived"] for day in range(9)
    }
    assert len(words) == 9

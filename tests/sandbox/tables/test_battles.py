"""Battles, territories, and who may attack whom."""

from __future__ import annotations

import pytest

from app.errors import RequestRefused
from app.kingdom.constants import ClanBattleType
from tests.sandbox.asker import NOW, Asker


def test_battles_are_decided_by_their_rolls(ask: Asker) -> None:
    for row in ask("/clan-battles?simplified=true"):
        assert row["attackingClan"]["id"] != row["defendingClan"]["id"]
        if row["ongoing"]:
            continue
        wins, losses = row["battleResults"].count(1), row["battleResults"].count(2)
        assert row["didAttackersWin"] == (wins >= losses)
        rolls = zip(row["attackingRolls"], row["defendingRolls"], row["battleResults"], strict=True)
        for attacking, defending, result in rolls:
            assert result == (0 if attacking == defending else 1 if attacking > defending else 2)
        assert len(row["attackingPlayerIds"]) == len(row["defendingPlayerIds"]) <= 20
        assert (row["attackingMMRDiff"] > 0) == row["didAttackersWin"]


def test_fighters_are_members(ask: Asker) -> None:
    clans = ask.kingdom.clans
    for row in ask("/clan-battles?numToFetch=40"):
        for side in ("attacking", "defending"):
            clan = clans.find(row[f"{side}Clan"]["id"])
            assert clan is not None
            members = {str(200_000 + hero) for hero in clans.members[clan]}
            assert set(row[f"{side}PlayerIds"]) <= members


def test_an_id_says_what_it_is_about(ask: Asker) -> None:
    for row in ask("/clan-battles?numToFetch=9"):
        kind = "t" if row["clanBattleType"] == "TERRITORY" else "b"
        assert row["id"] == kind + row["requestId"]
        assert (row["territory"] is not None) == (kind == "t")
        assert ask(f"/clan-battles/{row['id']}") == row
        with pytest.raises(RequestRefused):
            ask(f"/clan-battles/{'b' if kind == 't' else 't'}{row['requestId']}")


def test_a_battle_is_fought_and_then_it_is_decided(ask: Asker) -> None:
    last = max(ask("/clan-battles"), key=lambda row: int(row["attackingTimestamp"]))
    begun = int(last["attackingTimestamp"])
    during, after = (ask(f"/clan-battles/{last['id']}", now=begun + wait) for wait in (1, 61))
    assert (during["ongoing"], after["ongoing"]) == (True, False)
    assert (during["battleResults"], during["didAttackersWin"]) == ([], False)
    assert after["battleResults"]


def test_battles_are_counted(ask: Asker) -> None:
    battles = ask.kingdom.battles
    both = [battles.fought(NOW, kind) for kind in ClanBattleType]
    assert abs(both[0] - both[1]) <= 1
    later = [battles.fought(NOW + 1200, kind) for kind in ClanBattleType]
    assert [after - before for after, before in zip(later, both, strict=True)] == [1, 1]


def test_one_clan_alone_has_nobody_to_fight() -> None:
    alone = Asker(players=9)
    assert alone("/clan-battles") == []
    assert alone("/locked-bank-vault-clan-battle-pairs") == []
    assert alone("/core-data")["totalTerritoryBattles"] == "0"
    assert alone("/clans-within-vault-mmr-attacking-range/30000") == []


def test_territories(ask: Asker) -> None:
    rows = ask("/territories?orderBy=territoryId")
    assert [row["percentageEmissions"] for row in rows] == [100] * 5 + [30] * 10 + [20] * 10
    assert [row["minMMR"] for row in rows] == [400] * 5 + [250] * 10 + [0] * 10
    assert {row["clanOccupier"] is None for row in rows} == {True, False}
    assert all(int(row["nextHarvestAllowedTimestamp"]) > NOW for row in rows)


def test_whom_a_clan_may_attack(ask: Asker) -> None:
    clans = ask.kingdom.clans
    reach = int(ask("/core-data")["mmrAttackDistance"])
    vaults = {row["id"]: row["mmr"] for row in ask("/clans?onlyHasVaults=true")}
    for clan in range(clans.count):
        own = str(30_000 + clan)
        expected = [
            other for other, mmr in vaults.items()
            if other != own and abs(mmr - clans.mmr(clan, NOW)) <= reach
        ]  # fmt: skip
        assert sorted(ask(f"/clans-within-vault-mmr-attacking-range/{own}")) == sorted(expected)


def test_an_unknown_clan_may_attack_nobody(ask: Asker) -> None:
    with pytest.raises(RequestRefused) as refused:
        ask("/clans-within-vault-mmr-attacking-range/1")
    assert refused.value.status == 404

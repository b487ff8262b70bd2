"""Clans: who is in, what they hold, who may ask."""

from __future__ import annotations

import pytest

from app.sandbox.tables.clans import FIRST_CLAN
from tests.sandbox.asker import NOW, Asker


def test_every_member_is_in_one_clan(ask: Asker) -> None:
    clans = ask.kingdom.clans
    everybody = [hero for members in clans.members for hero in members]
    assert len(everybody) == len(set(everybody))
    for clan, members in enumerate(clans.members):
        assert members[0] == clans.owner(clan)
        assert all(clans.of(hero) == clan for hero in members)


def test_who_is_in_no_clan_may_have_asked_for_one(ask: Asker) -> None:
    clans = ask.kingdom.clans
    free = [hero for hero in range(300) if clans.of(hero) is None]
    assert free
    assert any(clans.wished(hero) is not None for hero in free)
    assert all(clans.wished(hero) is None for hero in range(300) if hero not in free)


def test_names_are_different() -> None:
    clans = Asker(players=8000).kingdom.clans
    assert len({clans.name(clan) for clan in range(clans.count)}) == clans.count == 400


def test_vaults(ask: Asker) -> None:
    for row in ask("/clans"):
        vaults = row["lockedBankVaults"]
        assert int(row["brushLocked"]) == sum(int(vault["amount"]) for vault in vaults)
        assert all(
            NOW - 86_400 < int(vault["unlockTimestamp"]) < NOW + 8 * 86_400 for vault in vaults
        )
        assert all(vault["clanId"] == row["id"] for vault in vaults)


@pytest.mark.parametrize(
    ("clan_id", "clan"), [("30000", 0), ("30014", 14), ("30015", None), ("29999", None), ("", None)]
)
def test_ids(ask: Asker, clan_id: str, clan: int | None) -> None:
    assert ask.kingdom.clans.find(clan_id) == clan


def test_the_owner(ask: Asker) -> None:
    row = ask(f"/clans/{FIRST_CLAN + 3}")
    assert row["owner"]["id"] == row["ownerId"] == "200060"
    assert ask("/clans?ownerId=200061") == []
    assert ask("/clans?ownerId=1") == []


def test_a_smaller_row_is_a_part_of_the_whole(ask: Asker) -> None:
    small, whole = ask("/clans?simplified=true"), ask("/clans")
    for one, other in zip(small, whole, strict=True):
        assert one.items() <= other.items()
        assert "owner" not in one


def test_mmr_moves(ask: Asker) -> None:
    clans = ask.kingdom.clans
    assert {clans.mmr(3, NOW + hour * 3600) for hour in range(30)} != {clans.mmr(3, NOW)}
    assert all(300 <= clans.mmr(clan, NOW) <= 800 for clan in range(clans.count))


def test_levels_add_up(ask: Asker) -> None:
    settled = NOW - NOW % 3600
    row = ask("/clans/30002", now=settled)
    players = ask("/clan-members?clanId=30002", now=settled)
    assert row["totalLevel"] == sum(member["player"]["totalLevel"] for member in players)


def test_todays_donations(ask: Asker) -> None:
    today = ask("/donation-day-datas?orderDirection=desc&numToFetch=1")[0]
    givers = sum(row["numDonationsToday"] for row in ask("/clans"))
    assert 0 < givers <= today["numDonators"]

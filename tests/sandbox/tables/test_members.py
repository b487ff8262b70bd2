"""Memberships and invitations."""

from __future__ import annotations

from tests.sandbox.asker import NOW, Asker


def test_a_hero_without_a_clan_is_null(ask: Asker) -> None:
    listed = {row["id"] for row in ask("/clan-members?numToFetch=1000")}
    missing = next(row["id"] for row in ask("/players") if row["id"] not in listed)
    assert ask(f"/clan-members/{missing}") is None
    assert ask.raw(f"/clan-members/{missing}") == b'{"clanMember":null}'


def test_a_member_is_a_player_and_a_clan_in_one(ask: Asker) -> None:
    member = ask("/clan-members/200020")
    assert member["rank"] == 6
    assert member["clan"].items() <= ask("/clans/30001").items()
    assert member["player"] == ask("/players?tokenIds[]=200020&simplified=true")[0]


def test_who_asked_is_no_member_yet(ask: Asker) -> None:
    asking = [row for row in ask("/clan-members?numToFetch=1000") if row["requestedClan"]]
    assert asking
    for row in asking:
        assert row["clan"] is None
        assert (row["rank"], row["joinedTimestamp"]) == (0, "0")
        assert int(row["requestedClanTimestamp"]) < NOW


def test_everybody_joined_in_the_past(ask: Asker) -> None:
    members = ask("/clan-members?numToFetch=1000")
    joined = [int(row["joinedTimestamp"]) for row in members]
    assert joined == sorted(joined)
    assert all(when < NOW for when in joined)
    assert len({row["rank"] for row in members}) == 7


def test_invitations_are_for_those_without_a_clan(ask: Asker) -> None:
    invitations = ask("/clan-invites")
    for row in invitations:
        assert row["member"]["clan"] is None
        assert row["invitedBy"]["rank"] == 6
        assert row["invitedBy"]["clan"]["id"] == row["clan"]["id"]
        assert row["id"] == f"{row['clan']['id']}_{row['member']['id']}"
    one = invitations[0]
    assert one in ask(f"/clan-invites?playerId={one['member']['id']}")

"""Wallets, items, and what heroes made and wore."""

from __future__ import annotations

from tests.sandbox.asker import Asker


def test_users_are_what_they_hold(ask: Asker) -> None:
    for user in ask("/users?numToFetch=40"):
        heroes = ask(f"/players?owner={user['id']}")
        items = ask(f"/user-item-nfts/{user['id']}")
        assert user["numPlayers"] == len(heroes)
        assert user["numUniqueItems"] == len(items) == len({row["tokenId"] for row in items})
        assert user["numPlayersDonated"] == sum(row["totalDonated"] != "0" for row in heroes)
        assert int(user["totalDonated"]) == sum(int(row["totalDonated"]) for row in heroes)
        assert user["activePlayerId"] in {row["id"] for row in heroes}
        assert ask(f"/users/{user['id'].upper().replace('0X', '0x')}") == user


def test_items_are_of_the_game(ask: Asker) -> None:
    tokens = {row["tokenId"]: row["name"] for row in ask("/items")}
    user = ask("/users?numToFetch=1")[0]["id"]
    for row in ask(f"/user-item-nfts/{user}"):
        assert tokens[row["tokenId"]] == row["item"]["name"]
        assert row["id"] == f"{user}_{row['tokenId']}"
        assert int(row["amount"]) > 0


def test_items_are_sorted_by_token(ask: Asker) -> None:
    user = ask("/users?numToFetch=1")[0]["id"]
    tokens = [row["tokenId"] for row in ask(f"/user-item-nfts/{user}")]
    assert tokens == sorted(tokens)


def test_what_a_hero_made_is_counted(ask: Asker) -> None:
    ids = [row["id"] for row in ask("/players")]
    rows = ask("/player-self-mades/multi", {"playerIds": ids})
    assert [row["id"] for row in rows] == ids
    assert all(row["totalSelfMades"] == len(row["selfMadeIds"]) for row in rows)
    assert ask(f"/player-self-mades/{ids[4]}") == rows[4]


def test_every_skill_has_its_outfit(ask: Asker) -> None:
    owner = ask("/players/200005")["owner"]
    found = [ask(f"/last-full-equipments/{owner}/200005/{skill}") for skill in range(1, 22)]
    assert sum(map(len, found)) == 19
    assert all(row["queuedAction"]["playerId"] == "200005" for rows in found for row in rows)
    other = ask("/users?numToFetch=9")[8]["id"]
    assert other == owner or ask(f"/last-full-equipments/{other}/200005/9") == []

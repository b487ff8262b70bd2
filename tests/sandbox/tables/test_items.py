"""Items that are made up: ids and names of the game, what they do within reason."""

from __future__ import annotations

from app.kingdom import names
from app.kingdom.constants import BoostType, EquipPosition, Skill
from app.kingdom.items import category_of
from app.kingdom.levels import thresholds
from app.sandbox.dice import Dice
from app.sandbox.tables.items import LIVING, living, make_items
from tests.sandbox.asker import NOW

dice = Dice(1, "definitions")
items = {row["tokenId"]: row for row in make_items(dice)}


def test_every_item_of_the_game() -> None:
    assert {token: row["name"] for token, row in items.items()} == dict(names.items())
    assert all(row["lowercaseName"] == row["name"].lower() for row in items.values())


def test_what_is_worn_where() -> None:
    worn = {"head": 1, "sword": EquipPosition.RIGHT_HAND, "bow": EquipPosition.BOTH_HANDS, "ore": 0}
    for token, row in items.items():
        category = category_of(token)
        if category in worn:
            assert row["equipPosition"] == worn[category]


def test_who_may_wear_it() -> None:
    steps = {str(xp) for xp in thresholds()}
    for row in items.values():
        assert row["minXP"] in steps
        assert row["minXP"] == "0" or row["skill"] != Skill.NONE


def test_boosts() -> None:
    for token, row in items.items():
        assert (row["boostType"] != BoostType.NONE) == (category_of(token) == "boost")
        assert bool(row["boostValue"]) == bool(row["boostDuration"])


def test_food_heals() -> None:
    assert {category_of(token) for token, row in items.items() if row["healthRestored"]} == {
        "cooked_fish"
    }


def test_some_of_each() -> None:
    for flag in ("isTransferable", "isSellableToShop", "isAvailable", "isFullModeOnly"):
        assert {row[flag] for row in items.values()} == {True, False}


def test_what_lives() -> None:
    row = living(dice, 1, NOW)
    assert tuple(row) == LIVING
    assert int(row["firstMintedTimestamp"]) < NOW
    assert not set(LIVING) & set(items[1])

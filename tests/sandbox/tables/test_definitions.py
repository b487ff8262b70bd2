"""The game's definitions, made up or brought."""

from __future__ import annotations

import pytest

from app.kingdom import names
from app.kingdom.constants import PetEnhancementType, PetSkin, Skill
from app.sandbox.table import Row
from app.sandbox.tables.definitions import LIVE_SKILLS, Definitions
from tests.sandbox.asker import NOW

made_up = Definitions(7, {})


def test_there_are_17_skills() -> None:
    assert len(set(LIVE_SKILLS)) == 17


@pytest.mark.parametrize("skill", LIVE_SKILLS)
@pytest.mark.parametrize("number", [0, 30_000, 65_535])
def test_every_skill_can_be_trained(skill: Skill, number: int) -> None:
    action, choice = made_up.training(skill, number)
    assert action["skill"] in (skill, Skill.COMBAT)
    if action["actionChoiceRequired"]:
        assert choice is not None
        assert choice["actionId"] in (action["actionId"], 0)
    else:
        assert choice is None


def test_pets_are_what_their_names_say() -> None:
    pets = {row["id"]: row for row in made_up.base_pets}
    [frost] = [
        row for row in pets.values() if names.pet_name(int(row["id"])) == "Frost Melee Tier 3"
    ]
    assert (frost["tier"], frost["skin"], frost["enhancementType"]) == (3, PetSkin.FROST, 1)
    assert frost["skillEnhancements"] == [Skill.MELEE, Skill.NONE]
    both = [row for row in pets.values() if row["enhancementType"] == 7]
    assert all(row["skillEnhancements"] == [Skill.MAGIC, Skill.DEFENCE] for row in both)
    assert {row["tier"] for row in pets.values()} == {1, 2, 3, 4, 5}
    assert {row["enhancementType"] for row in pets.values()} <= set(map(int, PetEnhancementType))


def test_small_tables() -> None:
    assert [row["maxMemberCapacity"] for row in made_up.clan_tiers] == [3, 10, 50]
    assert [row["id"] for row in made_up.avatars][:10] == [*map(str, range(1, 10)), "10001"]
    assert [row["id"] for row in made_up.promotions] == ["1", "2", "3", "4", "5", "6"]
    assert all(row["xp"] == row["id"] for row in made_up.thresholds)
    assert {row["tokenId"] for row in made_up.shop_items} <= set(made_up.tokens)


def test_what_was_brought_is_used() -> None:
    items: list[Row] = [
        {"tokenId": 9, "equipPosition": 0, "isTransferable": False, "totalQuantity": "4"},
        {"tokenId": 5, "equipPosition": 1, "isTransferable": True, "totalQuantity": "5"},
    ]
    brought = Definitions(7, {"items": items})
    assert brought.tokens == [5, 9]
    assert brought.tradable == [5]
    assert brought.item(5, NOW) is items[1]
    assert brought.living(0, NOW) == {}
    assert brought.item(1, NOW) == {"id": "1", "tokenId": 1}
    assert {token for row in brought.actions for token in row["randomChanceItemTokenIds"]} <= {5, 9}


def test_nothing_to_trade_is_everything() -> None:
    items: list[Row] = [{"tokenId": 3, "equipPosition": 0}]
    assert Definitions(7, {"items": items}).tradable == [3]


def test_what_lives_about_an_item() -> None:
    token = made_up.tokens[0]
    before, after = made_up.item(token, NOW), made_up.item(token, NOW + 86_400)
    assert int(after["totalQuantity"]) > int(before["totalQuantity"])
    assert int(after["nextNewAllocationTimestamp"]) > NOW + 86_400
    assert before["name"] == after["name"] == names.item_name(token)

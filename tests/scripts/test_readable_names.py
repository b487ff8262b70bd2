from __future__ import annotations

import json
import runpy
from collections.abc import Mapping
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"
RULES = runpy.run_path(str(SCRIPTS / "readable_names.py"))


@pytest.mark.parametrize(
    ("identifier", "name"),
    [
        ("BRONZE_HELMET", "Bronze Helmet"),
        ("RING_OF_TUR", "Ring of Tur"),
        ("THE_HEART", "The Heart"),
        ("WAY_OF_THE_AXE_IV", "Way of the Axe IV"),
        ("FIRE_AND_ICE_VII", "Fire and Ice VII"),
        ("CHAPTER_XIX", "Chapter XIX"),
        ("WQ_I_III", "World Quest I-III"),
        ("VIVID_MIX", "Vivid Mix"),
        ("XP_BOOST", "XP Boost"),
        ("HEALING_POTION_XL", "Healing Potion (XL)"),
        ("L", "L"),
        ("ANNIV1_CHEST", "1st Anniversary Chest"),
        ("ANNIV3_POUCH", "3rd Anniversary Pouch"),
        ("ANNIV11_POUCH", "11th Anniversary Pouch"),
        ("TREAT_CHEST2024", "Treat Chest 2024"),
        ("FROST_MELEE_TIER2", "Frost Melee Tier 2"),
        ("FOOLS_BERRY", "Fool's Berry"),
        ("ONEKIN_HEALTH", "1Kin Health"),
    ],
)
def test_title(identifier: str, name: str) -> None:
    assert RULES["title"](identifier) == name


KNOWN = {"EGG": "Genesis Egg", "DAGGER_007_ORICHALCUM": "Orcalith Cledyr"}
ITEMS = {
    "MASTER_HAT",
    "MASTER_HAT_1",
    "INFUSED_MASTER_HAT",
    "DAGGER_007_ORICHALCUM_INFUSED",
    "CLAN_BOOSTER",
    "COMBAT_BOOST",
    "COMBAT_BOOST_M",
}


@pytest.mark.parametrize(
    ("identifier", "name"),
    [
        ("MASTER_HAT", "Master Hat"),
        ("MASTER_HAT_1", "Master Hat Lvl 1"),
        ("INFUSED_MASTER_HAT", "Infused Master Hat"),
        ("INFUSED_MASTER_HAT_FRAGMENT", "Infused Master Hat Fragment"),
        ("CLAN_BOOSTER_2", "Clan Booster 2"),
        ("FISHING_CHEST_3", "Fishing Chest Tier 3"),
        ("EGG_TIER2", "Genesis Egg Tier 2"),
        ("RIFT_EGG_TIER5", "Rift Egg Tier 5"),
        ("DAGGER_007_ORICHALCUM_2", "Orcalith Cledyr Lvl 2"),
        ("DAGGER_007_ORICHALCUM_INFUSED", "Infused Orcalith Cledyr"),
        ("DAGGER_001_BRONZE", "Bronze Dagger"),
        ("PLANK_001_SMALL", "Small Plank"),
        ("SEED_001_WILD", "Wild Seed"),
        ("SEED_001_WILD_HARVESTABLE", "Wild Sprout"),
        ("HERB_010_FOOLS_BERRY", "Fool's Berry"),
        ("REWARD_002_BOOK", "Unidentified Book"),
        ("POTION_006_LARGE_MELEE", "Melee Boost (L)"),
        ("COMBAT_BOOST", "Combat Boost (S)"),
        ("COMBAT_BOOST_M", "Combat Boost (M)"),
        ("XP_BOOST_XL_UNSTABLE", "XP Boost (XL-U)"),
    ],
)
def test_item_name(identifier: str, name: str) -> None:
    assert RULES["item_name"](identifier, ITEMS, KNOWN) == name


def test_the_names_that_no_rule_gives_are_sorted_and_each_is_needed() -> None:
    known: Mapping[str, str] = json.loads((SCRIPTS / "item_names.json").read_bytes())
    assert list(known) == sorted(known)
    assert all(name.strip() == name != "" for name in known.values())
    assert [i for i, name in known.items() if RULES["item_name"](i, set(), {}) == name] == []

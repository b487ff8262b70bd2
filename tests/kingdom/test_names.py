from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest

from app.kingdom import names
from app.kingdom.data import read_table
from tests.kingdom.shared_data import rows


@pytest.mark.parametrize(
    ("function", "number", "name"),
    [
        (names.item_name, 1, "Bronze Helmet"),
        (names.item_name, 1543, "Ring of Tur"),
        (names.item_name, 2259, "Orcalith Cledyr Lvl 5"),
        (names.item_name, 12821, "Passive Skip Boost"),
        (names.item_name, 65535, "Mystery Box"),
        (names.action_name, 2, "Oak"),
        (names.action_name, 1000, "Firemaking"),
        (names.action_name, 1505, "Trout"),
        (names.choice_name, 500, "Bronze Bar"),
        (names.choice_name, 1500, "Melee"),
        (names.choice_name, 2001, "Nature's Fury"),
        (names.instant_action_name, 1, "Bronze Helmet"),
        (names.instant_action_name, 2000, "1st Anniversary Chest"),
        (names.instant_vrf_action_name, 1000, "Genesis Egg Tier 1"),
        (names.passive_action_name, 2, "Genesis Egg Tier 2"),
        (names.pet_name, 1, "Default Melee Tier 1"),
        (names.pet_name, 506, "1Kin Melee and Defence Tier 1"),
        (names.quest_name, 28, "Way of the Axe IV"),
    ],
)
def test_names(function: Callable[[int], str | None], number: int, name: str) -> None:
    assert function(number) == name


@pytest.mark.parametrize(
    "function",
    [
        names.item_name,
        names.action_name,
        names.choice_name,
        names.instant_action_name,
        names.instant_vrf_action_name,
        names.passive_action_name,
        names.pet_name,
        names.quest_name,
    ],
)
def test_what_is_not_known_has_no_name(function: Callable[[int], str | None]) -> None:
    assert function(0) is None
    assert function(99_999) is None


def test_marks_of_ranges_and_reserved_ids_are_not_items() -> None:
    assert not any("Reserved" in name or "Unused" in name for name in names.items().values())
    assert 255 not in names.items(), "HEAD_MAX"
    assert names.passive_action_name(11) is None, "PASSIVE_ACTION_MIN_SECRET_EGG_1"


def test_an_item_is_found_by_its_name_in_any_case() -> None:
    assert names.item_id("bronze HELMET") == 1
    assert names.item_id("Bronze") is None
    for token_id, name in names.items().items():
        assert names.item_id(name) == token_id


def test_what_is_handed_out_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        names.items()[1] = "Iron Helmet"  # type: ignore[index]


def test_a_table_that_is_not_there() -> None:
    with pytest.raises(FileNotFoundError):
        read_table("spells")


def test_nothing_is_read_before_it_is_asked_for() -> None:
    program = """
import sys
opened = []
sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == "open" else None)
from app.kingdom import items, levels, names
assert not [path for path in opened if path.endswith(".json")], opened
assert names.item_name(1) == "Bronze Helmet"
assert len([path for path in opened if path.endswith("items.json")]) == 1
names.item_name(2)
assert len([path for path in opened if path.endswith(".json")]) == 1
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr.decode()


def test_derived_names_are_the_real_ones() -> None:
    real = {row["tokenId"]: row["name"] for row in rows("items")}
    ours = {token_id: names.item_name(token_id) for token_id in real}
    assert ours == real


@pytest.mark.parametrize(
    ("table", "field", "function"),
    [
        ("actions", "actionId", names.action_name),
        ("instant-actions", "actionId", names.instant_action_name),
        ("instant-vrf-actions", "actionId", names.instant_vrf_action_name),
        ("passive-actions", "actionId", names.passive_action_name),
        ("quests", "questId", names.quest_name),
        ("base-pets", "baseId", names.pet_name),
    ],
)
def test_every_real_row_has_a_name(
    table: str, field: str, function: Callable[[int], str | None]
) -> None:
    assert [row[field] for row in rows(table) if not function(int(row[field]))] == []


def test_every_real_choice_has_a_name() -> None:
    ids = [int(row["id"].rpartition("_")[2]) for row in rows("action-choices")]
    assert len(ids) > 400
    assert [number for number in ids if not names.choice_name(number)] == []

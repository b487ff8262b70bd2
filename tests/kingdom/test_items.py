from __future__ import annotations

from collections import Counter

import pytest

from app.kingdom.items import OTHER, categories, category_of, ranges
from app.kingdom.names import items
from tests.kingdom.shared_data import rows


@pytest.mark.parametrize(
    ("first", "last", "category"),
    [
        (1, 255, "head"),
        (257, 511, "neck"),
        (513, 767, "body"),
        (769, 1023, "arms"),
        (1025, 1279, "legs"),
        (1281, 1535, "feet"),
        (1536, 1791, "ring"),
        (2048, 2097, "sword"),
        (2098, 2147, "staff"),
        (2148, 2197, "bow"),
        (2198, 2247, "shield"),
        (2248, 2297, "dagger"),
        (2298, 2347, "crossbow"),
        (2348, 2397, "book"),
        (2398, 2559, "combat"),
        (2560, 2815, "mining_tool"),
        (2816, 3071, "woodcutting_tool"),
        (3072, 3327, "fishing_tool"),
        (3328, 3583, "fire_starter"),
        (3584, 3839, "fragment"),
        (10240, 10495, "bar"),
        (10752, 11007, "raw_fish"),
        (11008, 11263, "cooked_fish"),
        (11264, 11519, "farming_material"),
        (13056, 13311, "forging_material"),
        (13824, 13951, "alchemy_blueprint"),
        (13952, 14079, "harvest_blueprint"),
        (14688, 14943, "seed"),
        (14944, 15199, "harvestable_seed"),
        (15712, 15967, "cosmetic_avatar"),
        (15968, 16223, "cosmetic_avatar_border"),
        (60000, 65535, "misc"),
    ],
)
def test_a_category_holds_its_range_to_both_ends(first: int, last: int, category: str) -> None:
    assert {category_of(first), category_of((first + last) // 2), category_of(last)} == {category}


@pytest.mark.parametrize("token_id", [-1, 0, 256, 512, 1792, 2047, 3840, 10239, 16736, 65536])
def test_an_id_that_no_range_holds(token_id: int) -> None:
    assert category_of(token_id) == OTHER


def test_ranges_are_apart_except_for_the_weapons_within_combat() -> None:
    for name, ids in ranges().items():
        overlapping = {
            other
            for other, theirs in ranges().items()
            if other != name and ids.start < theirs.stop and theirs.start < ids.stop
        }
        if name == "combat":
            assert len(overlapping) == 7
            assert all(set(ranges()[weapon]) < set(ids) for weapon in overlapping)
        else:
            assert overlapping <= {"combat"}


def test_categories_come_in_the_order_of_their_ids_and_end_with_other() -> None:
    listed = categories()
    assert (listed[0], listed[-1]) == ("head", OTHER)
    assert len(set(listed)) == len(listed) == len(ranges()) + 1
    starts = [ranges()[name].start for name in listed[:-1]]
    assert starts == sorted(starts)


def test_every_item_that_we_can_name_has_a_category() -> None:
    assert {token_id for token_id in items() if category_of(token_id) == OTHER} == set()


def test_every_real_item_falls_in_exactly_one_category() -> None:
    token_ids = [row["tokenId"] for row in rows("items")]
    counts = Counter(category_of(token_id) for token_id in token_ids)
    assert OTHER not in counts
    assert "combat" not in counts, "each real weapon is of a kind"
    assert counts.total() == len(token_ids)
    for token_id in token_ids:
        holding = [name for name, ids in ranges().items() if token_id in ids and name != "combat"]
        assert holding == [category_of(token_id)]


def test_the_category_agrees_with_where_real_items_are_worn() -> None:
    worn = {1: "head", 2: "neck", 3: "body", 4: "arms", 5: "legs", 6: "feet", 7: "ring"}
    special = {"special", "cosmetic_hat"}
    for row in rows("items"):
        if (slot := row["equipPosition"]) in worn:
            assert category_of(row["tokenId"]) in {worn[slot], *special}, row["name"]

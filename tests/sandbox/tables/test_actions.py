"""Actions that are made up around the ids of the game."""

from __future__ import annotations

import pytest

from app.kingdom.constants import Skill
from app.kingdom.data import read_table
from app.sandbox.dice import Dice
from app.sandbox.table import Row
from app.sandbox.tables import actions
from app.sandbox.tables.definitions import Definitions

known = Definitions(2, {})
dice = Dice(2, "definitions")
tokens = known.tokens


@pytest.mark.parametrize(
    ("action_id", "skill"),
    [(1, 9), (500, 8), (1000, 15), (1100, 11), (1200, 14), (1500, 10), (2000, 1), (5000, 16)],
)
def test_an_action_is_of_the_skill_of_its_range(action_id: int, skill: int) -> None:
    [row] = [row for row in actions.make_actions(dice, tokens) if row["actionId"] == action_id]
    assert row["skill"] == skill


def test_rewards_are_items() -> None:
    for row in actions.make_actions(dice, tokens):
        assert set(row["guaranteedRewardItemTokenIds"]) <= set(tokens)
        assert len(row["randomChanceItemTokenIds"]) == len(row["randomChanceRates"])
        assert bool(row["numSpawned"]) == (row["skill"] == Skill.COMBAT)
        assert bool(row["health"]) == (row["skill"] == Skill.COMBAT)


def test_choices_belong_to_actions() -> None:
    ids = {row["actionId"] for row in actions.make_actions(dice, tokens)}
    choices = actions.make_choices(dice, tokens)
    assert {row["actionId"] for row in choices} == {
        0,
        1000,
        1100,
        1200,
        1300,
        3000,
        4000,
        4500,
        5000,
    }
    assert {row["actionId"] for row in choices} - {0} <= ids
    for row in choices:
        assert row["id"].startswith(f"{row['actionId']}_")
        assert (row["outputTokenId"] == 0) == (row["actionId"] == 0)


@pytest.mark.parametrize(
    ("rows", "table"),
    [
        (actions.make_actions(dice, tokens), "actions"),
        (actions.make_choices(dice, tokens), "choices"),
        (actions.make_instant_actions(dice, tokens), "instant_actions"),
        (actions.make_instant_vrf_actions(dice, tokens), "instant_vrf_actions"),
        (actions.make_passive_actions(dice, tokens), "passive_actions"),
        (actions.make_quests(dice, known.items, known.actions), "quests"),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_all_of_the_game_are_there(rows: list[Row], table: str) -> None:
    assert sorted(int(row["id"].rpartition("_")[2]) for row in rows) == sorted(
        map(int, read_table(table))
    )


def test_kinds_of_random_outcomes() -> None:
    kinds = {row["actionId"] // 1000: row["actionType"] for row in known.instant_vrf_actions}
    assert kinds == {0: 2, 1: 3, 2: 1, 3: 1}


def test_quests_are_about_actions() -> None:
    ids = {row["id"] for row in known.actions}
    assert {row["action1"]["id"] for row in known.quests} <= ids
    assert all(row["rewardItem1"]["tokenId"] in tokens for row in known.quests)

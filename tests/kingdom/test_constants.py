from __future__ import annotations

import runpy
from enum import IntEnum, StrEnum
from pathlib import Path

import pytest

from app.kingdom import constants
from app.kingdom.constants import (
    ActivityType,
    BattleResult,
    BoostType,
    ClanBattleType,
    ClanRank,
    EquipPosition,
    InstantActionType,
    InstantVRFActionType,
    OrderSide,
    Promotion,
    Skill,
)
from tests.kingdom.shared_data import read

GENERATOR = Path(__file__).parents[2] / "scripts" / "generate_constants.py"


@pytest.mark.parametrize(
    ("member", "number"),
    [
        (Skill.NONE, 0),
        (Skill.MELEE, 2),
        (Skill.MINING, 8),
        (Skill.FARMING, 16),
        (Skill.HUNTING, 21),
        (Skill.INCUBATION, 40),
        (EquipPosition.BOTH_HANDS, 11),
        (EquipPosition.TITLE, 25),
        (BoostType.COMBAT_FIXED, 10),
        (ClanRank.OWNER, 6),
        (InstantActionType.GENERIC, 2),
        (InstantVRFActionType.EGG, 3),
        (BattleResult.LOSE, 2),
        (OrderSide.SELL, 1),
        (Promotion.ANNIV3_2026, 6),
    ],
)
def test_numbers_are_the_games(member: IntEnum, number: int) -> None:
    assert member == number
    assert type(member)(number) is member


def test_what_the_upstream_sends_by_name_is_text() -> None:
    assert ActivityType("ClanGateKeepNFTsOnMaker") is ActivityType.CLAN_GATE_KEEP_NFTS_ON_MAKER
    assert ActivityType("XPThresholdReward") is ActivityType.XP_THRESHOLD_REWARD
    assert ClanBattleType("LOCKED_VAULT") is ClanBattleType.LOCKED_VAULT
    assert len(ActivityType) == 118


def test_every_enum_of_the_definitions_is_here_with_the_same_members() -> None:
    expected = read("upstream/entities.json")["enums"]
    ours = {
        name: value
        for name, value in vars(constants).items()
        if isinstance(value, type) and issubclass(value, IntEnum | StrEnum)
    }
    ours = {name: enum for name, enum in ours.items() if enum not in (IntEnum, StrEnum)}
    assert ours.keys() == expected.keys()
    for name, enum in ours.items():
        members = expected[name]
        if issubclass(enum, StrEnum):
            assert [member.value for member in enum] == list(members)
        else:
            assert {member.name: member.value for member in enum} == members


def test_the_version_is_the_one_that_the_generator_pins() -> None:
    script = GENERATOR.read_text()
    assert f'VERSION = "{constants.DEFINITIONS_VERSION}"' in script


def test_numbers_that_formulas_need() -> None:
    assert (constants.MAX_LEVEL, constants.INITIAL_LEVEL) == (140, 17)
    assert (constants.GUAR_MUL, constants.RATE_MUL, constants.SPAWN_MUL) == (10, 1000, 1000)


def test_importing_the_module_needs_nothing_else_of_ours() -> None:
    found = runpy.run_path(str(Path(constants.__file__)))
    assert found["MAX_LEVEL"] == constants.MAX_LEVEL

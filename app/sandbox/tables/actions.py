"""What heroes can do, made up around the ids of the game: actions, choices, quests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from app.kingdom.constants import Skill
from app.kingdom.data import read_table
from app.kingdom.levels import xp_for
from app.sandbox.dice import Dice, pick, within
from app.sandbox.table import Row

_LEVELS = (1, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100)


class Span(NamedTuple):
    """Ids from ``first`` to ``last`` belong to one skill; choices also to one action."""

    first: int
    last: int
    skill: Skill
    action: int = 0


_ACTIONS = (
    Span(1, 499, Skill.WOODCUTTING),
    Span(500, 999, Skill.MINING),
    Span(1000, 1099, Skill.FIREMAKING),
    Span(1100, 1199, Skill.SMITHING),
    Span(1200, 1299, Skill.COOKING),
    Span(1300, 1499, Skill.CRAFTING),
    Span(1500, 1999, Skill.FISHING),
    Span(2000, 2499, Skill.COMBAT),
    Span(2500, 2999, Skill.THIEVING),
    Span(3000, 3499, Skill.FLETCHING),
    Span(3500, 3999, Skill.AGILITY),
    Span(4000, 4499, Skill.ALCHEMY),
    Span(4500, 4999, Skill.FORGING),
    Span(5000, 5499, Skill.FARMING),
)
_CHOICES = (
    Span(1, 499, Skill.FIREMAKING, 1000),
    Span(500, 999, Skill.SMITHING, 1100),
    Span(1000, 1499, Skill.COOKING, 1200),
    Span(1500, 1999, Skill.MELEE, 0),
    Span(2000, 2499, Skill.MAGIC, 0),
    Span(2500, 2999, Skill.CRAFTING, 1300),
    Span(3000, 3499, Skill.RANGED, 0),
    Span(3500, 3999, Skill.FLETCHING, 3000),
    Span(4000, 4499, Skill.ALCHEMY, 4000),
    Span(4500, 4999, Skill.FORGING, 4500),
    Span(5000, 5499, Skill.FARMING, 5000),
)
_GATHERED = {
    Skill.WOODCUTTING: range(10496, 10752),
    Skill.MINING: range(11520, 11776),
    Skill.FISHING: range(10752, 11008),
    Skill.COMBAT: range(60000, 65536),
}
_TOOLS = {
    Skill.WOODCUTTING: (2816, 3071),
    Skill.MINING: (2560, 2815),
    Skill.FISHING: (3072, 3327),
    Skill.COMBAT: (2048, 2559),
}


def make_actions(dice: Dice, tokens: Sequence[int]) -> list[Row]:
    """Every action; rewards are out of ``tokens``, the ids of items."""
    ids = [number for number in _ids("actions") if _span(_ACTIONS, number)]
    return [_action(number, dice, tokens) for number in ids]


def make_choices(dice: Dice, tokens: Sequence[int]) -> list[Row]:
    """Every choice of every action; the combat styles stand under action 0, as on the chain."""
    return [_choice(number, dice, tokens) for number in _ids("choices") if _span(_CHOICES, number)]


def make_instant_actions(dice: Dice, tokens: Sequence[int]) -> list[Row]:
    """Actions that take no time: taking gear apart, and simple recipes."""
    return [_instant(number, dice, tokens) for number in _ids("instant_actions")]


def make_instant_vrf_actions(dice: Dice, tokens: Sequence[int]) -> list[Row]:
    """Instant actions with a random outcome: forging, eggs, chests."""
    return [
        {
            "id": str(number),
            "actionId": number,
            "inputTokenIds": [pick(tokens, dice.roll(number, 3)[0])],
            "inputAmounts": [1],
            "actionType": 2 if number < 1000 else 3 if number < 2000 else 1,
            "isFullModeOnly": number < 1000,
            "isAvailable": dice.roll(number, 3)[1] % 8 != 0,
            "questPrerequisiteId": 0,
        }
        for number in _ids("instant_vrf_actions")
    ]


def make_passive_actions(dice: Dice, tokens: Sequence[int]) -> list[Row]:
    """Actions that run for days."""
    return [_passive(number, dice, tokens) for number in _ids("passive_actions")]


def make_quests(dice: Dice, items: Sequence[Row], actions: Sequence[Row]) -> list[Row]:
    """Quests; each gives an item for doing an action."""
    return [_quest(number, dice, items, actions) for number in _ids("quests")]


def _ids(table: str) -> list[int]:
    return sorted(int(number) for number in read_table(table))


def _span(spans: tuple[Span, ...], number: int) -> Span | None:
    return next((span for span in spans if span.first <= number <= span.last), None)


def _spans(spans: tuple[Span, ...], number: int) -> Span:
    return next(span for span in spans if span.first <= number <= span.last)


def _action(number: int, dice: Dice, tokens: Sequence[int]) -> Row:
    span = _spans(_ACTIONS, number)
    numbers = dice.roll(number)
    level = _LEVELS[(number - span.first) % len(_LEVELS)]
    kind = _GATHERED.get(span.skill, range(0))
    gathered = [token for token in tokens if token in kind]
    low, high = _TOOLS.get(span.skill, (0, 0))
    fights = span.skill == Skill.COMBAT
    strength = level // 2 + 3 if fights else 0
    return {
        "id": str(number),
        "actionId": number,
        "skill": int(span.skill),
        "xpPerHour": within(20, 60, numbers[0]) + level * 30,
        "numSpawned": within(40, 120, numbers[1]) * 1000 if fights else 0,
        "minXP": str(xp_for(level)),
        "guaranteedRewardItemTokenIds": [pick(gathered, numbers[2])] if gathered else [],
        "guaranteedRewardRates": [within(50, 1200, numbers[3])] if gathered else [],
        "randomChanceItemTokenIds": [pick(tokens, numbers[4])] if numbers[5] % 2 else [],
        "randomChanceRates": [within(100, 6000, numbers[6])] if numbers[5] % 2 else [],
        "handItemTokenIdRangeMin": low,
        "handItemTokenIdRangeMax": high,
        "isAvailable": numbers[7] % 32 != 0,
        "actionChoiceRequired": fights or any(span.action == number for span in _CHOICES),
        "successPercent": 100 if span.skill != Skill.THIEVING else within(40, 90, numbers[8]),
        "worldLocation": 0,
        "isFullModeOnly": level >= 90,
        "questPrerequisiteId": 0,
        **dict.fromkeys(("meleeAttack", "magicAttack", "rangedAttack"), strength),
        **dict.fromkeys(("meleeDefence", "magicDefence", "rangedDefence"), strength),
        "health": strength * 20,
    }


def _choice(number: int, dice: Dice, tokens: Sequence[int]) -> Row:
    span = _spans(_CHOICES, number)
    numbers = dice.roll(number, 1)
    level = _LEVELS[(number - span.first) % len(_LEVELS)]
    makes = span.action != 0
    return {
        "id": f"{span.action}_{number}",
        "actionId": span.action,
        "skill": int(span.skill),
        "rate": within(10, 200, numbers[0]) * 1000 if makes else 0,
        "xpPerHour": within(20, 60, numbers[1]) + level * 30 if makes else 0,
        "outputTokenId": pick(tokens, numbers[2]) if makes else 0,
        "outputAmount": within(1, 5, numbers[3]) if makes else 0,
        "successPercent": 100,
        "handItemTokenIdRangeMin": 0,
        "handItemTokenIdRangeMax": 0,
        "inputTokenIds": [pick(tokens, numbers[4])] if makes else [],
        "inputAmounts": [within(1, 3, numbers[5])] if makes else [],
        "skills": [int(span.skill)],
        "skillMinXPs": [str(xp_for(level))],
        "skillDiffs": [0],
        "isFullModeOnly": level >= 90,
        "isAvailable": numbers[6] % 8 != 0,
        "questPrerequisiteId": 0,
    }


def _instant(number: int, dice: Dice, tokens: Sequence[int]) -> Row:
    numbers = dice.roll(number, 2)
    level = pick(_LEVELS, numbers[0])
    return {
        "id": str(number),
        "actionId": number,
        "minSkills": [int(Skill.FORGING), int(Skill.SMITHING)],
        "minXPs": [str(xp_for(level))] * 2,
        "inputTokenIds": [pick(tokens, numbers[1])],
        "inputAmounts": [1],
        "outputTokenId": pick(tokens, numbers[2]),
        "outputAmount": within(1, 5, numbers[3]),
        "isFullModeOnly": level >= 60,
        "actionType": 1 if number < 1000 else 2,
        "questPrerequisiteId": 0,
    }


def _passive(number: int, dice: Dice, tokens: Sequence[int]) -> Row:
    numbers = dice.roll(number, 4)
    return {
        "id": str(number),
        "actionId": number,
        "durationDays": within(2, 20, numbers[0]),
        "guaranteedRewardItemTokenIds": [pick(tokens, numbers[1])],
        "guaranteedRewardRates": [1],
        "randomChanceItemTokenIds": [],
        "randomChanceRates": [],
        "randomChanceAmounts": [],
        "inputTokenIds": [pick(tokens, numbers[2])],
        "inputAmounts": [within(1, 5000, numbers[3])],
        "minSkills": [int(Skill.ALCHEMY)],
        "minLevels": [pick(_LEVELS, numbers[4])],
        "skipSuccessPercent": 0,
        "worldLocation": 0,
        "isFullModeOnly": True,
        "isAvailable": numbers[5] % 8 != 0,
        "questPrerequisiteId": 0,
    }


def _quest(number: int, dice: Dice, items: Sequence[Row], actions: Sequence[Row]) -> Row:
    numbers = dice.roll(number, 5)
    skilled = numbers[0] % 2
    return {
        "id": str(number),
        "questId": number,
        "dependentQuest": None,
        "action1": {"id": pick(actions, numbers[1])["id"]} if actions else None,
        "actionNum1": within(1, 1000, numbers[2]),
        "action2": None,
        "actionNum2": 0,
        "actionChoice": None,
        "actionChoiceNum": 0,
        "skillReward": int(Skill.WOODCUTTING) if skilled else 0,
        "skillXPGained": 250 if skilled else 0,
        "rewardItem1": pick(items, numbers[3]) if items else None,
        "rewardAmount1": within(1, 200, numbers[4]),
        "rewardItem2": None,
        "rewardAmount2": 0,
        "burnItem": None,
        "burnAmount": 0,
        "isFullModeOnly": numbers[5] % 4 == 0,
        "worldLocation": 0,
        "isActive": True,
        "isFixed": True,
        "createdTimestamp": "0",
        "minRequirementSkills": [0, 0, 0],
        "minRequirementXPs": ["0", "0", "0"],
    }

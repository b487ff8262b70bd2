"""Items, made up around the ids and names of the game: what each is and what it can do."""

from __future__ import annotations

from app.kingdom import names
from app.kingdom.constants import BoostType, EquipPosition, Skill
from app.kingdom.items import category_of
from app.kingdom.levels import xp_for
from app.sandbox.clockwork import DAY, HOUR, LAUNCH, start_of
from app.sandbox.clockwork import day_of as day
from app.sandbox.dice import Dice, pick, within
from app.sandbox.table import Row

_WORN = {
    "head": EquipPosition.HEAD,
    "neck": EquipPosition.NECK,
    "body": EquipPosition.BODY,
    "arms": EquipPosition.ARMS,
    "legs": EquipPosition.LEGS,
    "feet": EquipPosition.FEET,
    "ring": EquipPosition.RING,
    "sword": EquipPosition.RIGHT_HAND,
    "staff": EquipPosition.BOTH_HANDS,
    "bow": EquipPosition.BOTH_HANDS,
    "shield": EquipPosition.LEFT_HAND,
    "dagger": EquipPosition.LEFT_HAND,
    "crossbow": EquipPosition.BOTH_HANDS,
    "book": EquipPosition.BOTH_HANDS,
    "mining_tool": EquipPosition.RIGHT_HAND,
    "woodcutting_tool": EquipPosition.RIGHT_HAND,
    "fishing_tool": EquipPosition.RIGHT_HAND,
    "fire_starter": EquipPosition.RIGHT_HAND,
    "cooked_fish": EquipPosition.FOOD,
    "edible": EquipPosition.FOOD,
    "arrow": EquipPosition.QUIVER,
    "scroll": EquipPosition.MAGIC_BAG,
    "boost": EquipPosition.BOOST_VIAL,
    "cosmetic_avatar": EquipPosition.AVATAR,
    "cosmetic_avatar_border": EquipPosition.AVATAR_BORDER,
    "cosmetic_title": EquipPosition.TITLE,
}
_SKILLS = {
    "sword": Skill.MELEE,
    "staff": Skill.MAGIC,
    "bow": Skill.RANGED,
    "shield": Skill.DEFENCE,
    "dagger": Skill.MELEE,
    "crossbow": Skill.RANGED,
    "book": Skill.MAGIC,
    "mining_tool": Skill.MINING,
    "woodcutting_tool": Skill.WOODCUTTING,
    "fishing_tool": Skill.FISHING,
    "fire_starter": Skill.FIREMAKING,
    "arrow": Skill.RANGED,
}
_ARMOUR = ("head", "body", "arms", "legs", "feet")
_ARMOUR_SKILLS = (Skill.DEFENCE, Skill.MAGIC, Skill.RANGED)
_LEVELS = (1, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 115)
_BOOSTS = (BoostType.ANY_XP, BoostType.COMBAT_XP, BoostType.NON_COMBAT_XP, BoostType.GATHERING)
_BOUND = ("cosmetic_avatar", "cosmetic_avatar_border", "cosmetic_title", "plot", "reward")

LIVING = (
    "totalQuantity",
    "firstMintedTimestamp",
    "allocationRemaining",
    "nextNewAllocationTimestamp",
)
"""What changes about an item; the rest of it is for ever."""


def make_items(dice: Dice) -> list[Row]:
    """The fixed part of every item, by token id."""
    return [_item(token_id, name, dice) for token_id, name in sorted(names.items().items())]


def living(dice: Dice, token_id: int, moment: int) -> Row:
    """The ``LIVING`` fields: how much of an item there is grows by the hour."""
    first, rate, left, *_ = dice.roll(token_id, 1)
    minted = LAUNCH + first * 100 * DAY // 65536
    return {
        "totalQuantity": str((moment - minted) // HOUR * (1 + rate // 256)),
        "firstMintedTimestamp": str(minted),
        "allocationRemaining": str((1 + left) * 10**18),
        "nextNewAllocationTimestamp": str(start_of(day(moment) + 1)),
    }


def _item(token_id: int, name: str, dice: Dice) -> Row:
    category = category_of(token_id)
    numbers = dice.roll(token_id)
    # Better gear stands behind lesser gear in each range of ids, twelve to a set.
    level = _LEVELS[(token_id - 1) % 32 % len(_LEVELS)] if category in _WORN else 1
    skill = _SKILLS.get(category, Skill.NONE)
    if category in _ARMOUR:
        skill = pick(_ARMOUR_SKILLS, numbers[0])
    return {
        "id": str(token_id),
        "tokenId": token_id,
        **_combat(category, skill, level, numbers),
        "equipPosition": int(_WORN.get(category, EquipPosition.NONE)),
        "healthRestored": within(2, 60, numbers[1]) if category == "cooked_fish" else 0,
        "skill1": 0,
        "skillDiff1": 0,
        **_boost(category, numbers),
        "skill": int(skill),
        "minXP": str(xp_for(level)) if skill else "0",
        "name": name,
        "lowercaseName": name.lower(),
        "isTransferable": category not in _BOUND,
        "isForgeable": skill != Skill.NONE and level >= 60,
        "isSellableToShop": category not in _BOUND and numbers[2] % 2 == 0,
        "isFullModeOnly": level >= 90,
        "isAvailable": numbers[3] % 32 != 0,
        "questPrerequisiteId": 0,
        "isCollectionItem": category in _WORN,
        "isQuestItem": category == "misc" and numbers[4] % 8 == 0,
    }


def _combat(category: str, skill: Skill, level: int, numbers: tuple[int, ...]) -> Row:
    fights = category in _WORN and skill in (Skill.NONE, *_ARMOUR_SKILLS, Skill.MELEE)
    scale = level // 5 + 1 if fights and category not in ("cooked_fish", "edible", "boost") else 0
    attack, defence = within(0, scale, numbers[5]), within(0, scale, numbers[6])
    return {
        "meleeAttack": attack if skill == Skill.MELEE else 0,
        "magicAttack": attack if skill == Skill.MAGIC else 0,
        "rangedAttack": attack if skill == Skill.RANGED else 0,
        "meleeDefence": defence,
        "magicDefence": -defence if skill == Skill.DEFENCE else defence,
        "rangedDefence": defence,
        "health": within(0, scale, numbers[7]),
    }


def _boost(category: str, numbers: tuple[int, ...]) -> Row:
    if category != "boost":
        return {"boostType": 0, "boostValue": 0, "boostDuration": 0}
    return {
        "boostType": int(pick(_BOOSTS, numbers[8])),
        "boostValue": pick((3, 5, 10, 20), numbers[9]),
        "boostDuration": DAY,
    }

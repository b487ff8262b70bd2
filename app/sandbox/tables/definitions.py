"""The game's definitions: from files where there are any, else made up around its ids.

Everything else refers to these: queued actions to action ids, orders to item ids.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property

from app.kingdom import names
from app.kingdom.constants import PetEnhancementType, PetSkin, Promotion, Skill
from app.kingdom.data import read_table
from app.sandbox.clockwork import DAY, LAUNCH
from app.sandbox.dice import Dice, pick, within
from app.sandbox.table import Row
from app.sandbox.tables import actions, items

LIVE_SKILLS = (
    *(Skill.MELEE, Skill.RANGED, Skill.MAGIC, Skill.DEFENCE, Skill.HEALTH),
    *(Skill.MINING, Skill.WOODCUTTING, Skill.FISHING, Skill.SMITHING, Skill.THIEVING),
    *(Skill.CRAFTING, Skill.COOKING, Skill.FIREMAKING, Skill.FARMING, Skill.ALCHEMY),
    *(Skill.FLETCHING, Skill.FORGING),
)
"""The 17 skills that heroes can train."""
_COMBAT = frozenset([Skill.MELEE, Skill.RANGED, Skill.MAGIC, Skill.DEFENCE, Skill.HEALTH])
_AVATARS = ("Mage", "Rogue", "Bear", "Lion", "Rabbit", "Boar", "Wolf", "Hound", "Sage")
_TIERS = ((1, 3, 5, 200), (2, 10, 20, 700), (3, 50, 75, 3000))
_THRESHOLDS = (500, 1000, 2500, 5000, 10000, 30000, 50000, 100000, 250000, 500000, 1000000)
_ENHANCED = {
    PetEnhancementType.MELEE: (Skill.MELEE, Skill.NONE),
    PetEnhancementType.MAGIC: (Skill.MAGIC, Skill.NONE),
    PetEnhancementType.RANGED: (Skill.RANGED, Skill.NONE),
    PetEnhancementType.DEFENCE: (Skill.DEFENCE, Skill.NONE),
    PetEnhancementType.HEALTH: (Skill.HEALTH, Skill.NONE),
    PetEnhancementType.MELEE_AND_DEFENCE: (Skill.MELEE, Skill.DEFENCE),
    PetEnhancementType.MAGIC_AND_DEFENCE: (Skill.MAGIC, Skill.DEFENCE),
    PetEnhancementType.RANGED_AND_DEFENCE: (Skill.RANGED, Skill.DEFENCE),
    PetEnhancementType.ALCHEMY: (Skill.ALCHEMY, Skill.NONE),
}


class Definitions:
    """Rows of the tables that change with releases of the game only.

    ``files`` holds those that were brought, by the name of their path (``items``).
    """

    def __init__(self, seed: int, files: Mapping[str, list[Row]]) -> None:
        self._dice = Dice(seed, "definitions")
        self._files = files

    @cached_property
    def items(self) -> list[Row]:
        return self._brought("items", lambda: items.make_items(self._dice))

    @cached_property
    def tokens(self) -> list[int]:
        """The token ids of all items, ascending."""
        return sorted(row["tokenId"] for row in self.items) or [1]

    @cached_property
    def tradable(self) -> list[int]:
        """The token ids that have an order book."""
        found = sorted(row["tokenId"] for row in self.items if row.get("isTransferable"))
        return found or self.tokens

    @cached_property
    def actions(self) -> list[Row]:
        return self._brought("actions", lambda: actions.make_actions(self._dice, self.tokens))

    @cached_property
    def choices(self) -> list[Row]:
        make = actions.make_choices
        return self._brought("action-choices", lambda: make(self._dice, self.tokens))

    @cached_property
    def instant_actions(self) -> list[Row]:
        make = actions.make_instant_actions
        return self._brought("instant-actions", lambda: make(self._dice, self.tokens))

    @cached_property
    def instant_vrf_actions(self) -> list[Row]:
        make = actions.make_instant_vrf_actions
        return self._brought("instant-vrf-actions", lambda: make(self._dice, self.tokens))

    @cached_property
    def passive_actions(self) -> list[Row]:
        make = actions.make_passive_actions
        return self._brought("passive-actions", lambda: make(self._dice, self.tokens))

    @cached_property
    def quests(self) -> list[Row]:
        def make() -> list[Row]:
            rewards = [self.item(token, LAUNCH) for token in self.tokens]
            return actions.make_quests(self._dice, rewards, self.actions)

        return self._brought("quests", make)

    @cached_property
    def shop_items(self) -> list[Row]:
        return self._brought("shop-items", self._shop)

    @cached_property
    def avatars(self) -> list[Row]:
        return self._brought("avatars", self._avatars)

    @cached_property
    def base_pets(self) -> list[Row]:
        return self._brought("base-pets", self._base_pets)

    @cached_property
    def clan_tiers(self) -> list[Row]:
        return self._brought("clan-tiers", self._clan_tiers)

    @cached_property
    def thresholds(self) -> list[Row]:
        return self._brought("xp-threshold-rewards", self._thresholds)

    @cached_property
    def promotions(self) -> list[Row]:
        return [self._promotion(number) for number in sorted(Promotion) if number]

    def item(self, token_id: int, moment: int) -> Row:
        """An item with everything that it is at ``moment``; a bare id if there is none."""
        row = self._items_by_token.get(token_id)
        if row is None:
            return {"id": str(token_id), "tokenId": token_id}
        if "totalQuantity" in row:
            return row
        return {**row, **items.living(self._dice, token_id, moment)}

    def living(self, index: int, moment: int) -> Row:
        """What changes about the item at ``index``; nothing if its row came from a file."""
        row = self.items[index]
        return {} if "totalQuantity" in row else items.living(self._dice, row["tokenId"], moment)

    def training(self, skill: Skill, number: int) -> tuple[Row, Row | None]:
        """An action that trains ``skill`` and, where the action needs one, a choice."""
        wanted = Skill.COMBAT if skill in _COMBAT else skill
        action = pick(self._by_skill.get(wanted) or self.actions, number)
        if not action.get("actionChoiceRequired"):
            return action, None
        own = self._choices_of.get(action["actionId"]) or self._choices_of.get(0)
        return action, pick(own, number * 31 % 65536) if own else None

    @cached_property
    def _items_by_token(self) -> dict[int, Row]:
        return {row["tokenId"]: row for row in self.items}

    @cached_property
    def _by_skill(self) -> dict[int, list[Row]]:
        found: dict[int, list[Row]] = {}
        for row in self.actions:
            found.setdefault(row["skill"], []).append(row)
        return found

    @cached_property
    def _choices_of(self) -> dict[int, list[Row]]:
        found: dict[int, list[Row]] = {}
        for row in self.choices:
            found.setdefault(row["actionId"], []).append(row)
        return found

    def _brought(self, name: str, make: Callable[[], list[Row]]) -> list[Row]:
        return self._files[name] if name in self._files else make()

    def _shop(self) -> list[Row]:
        chosen: Sequence[int] = self.tokens[:: max(1, len(self.tokens) // 50)]
        return [
            {
                "id": str(token),
                "tokenId": token,
                "price": str(within(1, 500, self._dice.roll(token, 6)[0]) * 10**18),
                "item": self.item(token, LAUNCH),
            }
            for token in chosen
        ]

    def _avatars(self) -> list[Row]:
        return [
            {
                "id": str(number),
                "name": f"{'Evolved ' if number > 10000 else ''}{name}",
                "description": "",
                "imageURI": f"{number}.jpg",
                "startSkills": [int(LIVE_SKILLS[place]), 0],
            }
            for base in (0, 10000)
            for place, name in enumerate(_AVATARS)
            for number in [base + place + 1]
        ]

    def _base_pets(self) -> list[Row]:
        return [self._base_pet(number) for number in sorted(map(int, read_table("pets")))]

    def _base_pet(self, number: int) -> Row:
        # The identifiers end in the tier and begin with the skin: "Frost Melee Tier 3".
        name = names.pet_name(number) or ""
        tier = int(name[-1]) if name[-1:].isdigit() else 1
        skin = next((one for one in PetSkin if name.upper().startswith(one.name)), PetSkin.DEFAULT)
        kind = max(
            (one for one in _ENHANCED if one.name.replace("_", " ") in name.upper()),
            key=lambda one: len(one.name),
            default=PetEnhancementType.ALCHEMY,
        )
        level = (tier - 1) * 20 or 1
        return {
            "id": str(number),
            "baseId": str(number),
            "description": "",
            "tier": tier,
            "skin": int(skin),
            "enhancementType": int(kind),
            "skillEnhancements": [int(skill) for skill in _ENHANCED[kind]],
            "skillMinLevels": [level, level if _ENHANCED[kind][1] else 0],
            "fixedStarThreshold": 4 + tier * 5,
            "percentageStarThreshold": 4 + tier * 5,
        }

    def _clan_tiers(self) -> list[Row]:
        return [
            {
                "id": str(tier),
                "maxMemberCapacity": members,
                "maxBankCapacity": bank,
                "maxImageId": tier * 10000,
                "price": str(price * 10**18),
                "minimumAge": "0",
            }
            for tier, members, bank, price in _TIERS
        ]

    def _thresholds(self) -> list[Row]:
        return [
            {
                "id": str(xp),
                "xp": str(xp),
                "rewardItemAmounts": [str(1 + place)],
                "rewardItemTokenIds": [str(pick(self.tokens, self._dice.roll(xp, 7)[0]))],
            }
            for place, xp in enumerate(_THRESHOLDS)
        ]

    def _promotion(self, number: int) -> Row:
        begin = LAUNCH + number * 30 * DAY
        return {
            "id": str(int(number)),
            "promotionId": int(number),
            "startTime": begin,
            "endTime": begin + 14 * DAY,
            "isMultiday": number != Promotion.STARTER,
            "minTotalXP": "0",
            "adminOnly": number == Promotion.STARTER,
            "brushCost": "0",
            "evolvedHeroOnly": False,
            "brushCostMissedDay": str(10 * 10**18),
            "numDaysHitNeededForStreakBonus": 12,
            "numDaysClaimablePeriodStreakBonus": 9,
            "questPrerequisiteId": 0,
        }

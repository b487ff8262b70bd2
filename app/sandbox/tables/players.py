"""Rows of heroes: everything that the upstream says of one."""

from __future__ import annotations

from dataclasses import dataclass

from app.kingdom.constants import BoostType
from app.kingdom.levels import level_of
from app.sandbox.clockwork import DAY, HOUR, floor, start_of
from app.sandbox.clockwork import day_of as day
from app.sandbox.dice import pick
from app.sandbox.table import Part, Row, Shelf, Table
from app.sandbox.tables.definitions import LIVE_SKILLS, Definitions
from app.sandbox.tables.giving import Giving
from app.sandbox.tables.heroes import FIRST_ID, LEARNING, SETTLING, Heroes, skill_name
from app.sandbox.tables.outcomes import Outcomes
from app.sandbox.tables.progress import Progress
from app.sandbox.tables.queues import Queues

_SUBJECT = 80
_NAMES = [skill_name(skill) for skill in LIVE_SKILLS]
_WHO = (
    *("id", "tokenId", "avatarId", "originalAvatarId", "owner", "name"),
    *("mintedNumber", "mintedTimestamp", "pendingRandomRewards", "firstToReachMaxSkill"),
    *("isBurnt", "worldLocation", "isFullMode", "lockCooldownTimestamp", "discord", "twitter"),
    *("telegram", "listingPrice", "listing", "soldHistory", "avatarCosmetic"),
    *("avatarBorderCosmetic", "titleCosmetic"),
)
_PRESENCE = ("lastTimestamp", "lastActiveTimestamp", "isActive", "numActivities")
_DOING = ("queuedActions", "activePassiveAction", "lastInstantAction", "lastInstantVRFAction")
_QUESTS = ("activeQuest", "numFixedQuestsCompleted")
_GIFTS = (
    *("totalDonated", "numRaffleEntries", "lastDailyRewardClaimedItemTokenId"),
    *("lastWeeklyRewardClaimedItemTokenId",),
)
_XP = (*(f"{name}XP" for name in _NAMES), "huntingXP", "totalXP", "totalLevel")
_RANKS = (*(f"{name}Rank" for name in _NAMES), "huntingRank", "combinedRank")
_BOOSTS = ("StartTime", "Duration", "Val", "Type", "ItemTokenId")
_BOOSTED = tuple(
    f"{which}{field}"
    for which in ("boost", "lastBoost", "extraBoost", "lastExtraBoost")
    for field in _BOOSTS
)
_RECORD = ("Wins", "Losses", "SkillDraws", "SkillWins", "SkillLosses")
_FIGHTS = (
    *("isTerritoryCombatant", "isLockedVaultCombatant", "clanWarCombatantCooldownTimestamp"),
    *(f"{kind}{field}" for kind in ("territory", "lockedVault", "total") for field in _RECORD),
)
_NOT_SIMPLE = frozenset(
    [
        *("originalAvatarId", "mintedNumber", "pendingRandomRewards", "firstToReachMaxSkill"),
        *("isBurnt", "worldLocation", "lockCooldownTimestamp", "listing", "soldHistory"),
        *("numActivities", "numRaffleEntries", "lastDailyRewardClaimedItemTokenId"),
        "lastWeeklyRewardClaimedItemTokenId",
    ]
)
"""What a simplified row leaves out of the parts that it has."""


@dataclass(frozen=True)
class Players:
    """Makes rows of heroes out of what the other rooms know of them."""

    heroes: Heroes
    definitions: Definitions
    giving: Giving
    queues: Queues
    outcomes: Outcomes
    progress: Progress

    def table(self, shelf: Shelf) -> Table:
        """``/players``; with ``simplified`` in the variants."""
        small = self._table("players-simplified", (Part(("id",), self.simplified, 1),), shelf)
        parts = (
            Part(_WHO, self.who),
            Part(_PRESENCE, self._presence, LEARNING),
            Part(_XP, self._skills, LEARNING),
            Part(("battlePoints",), self._points, HOUR),
            Part(_RANKS, self.ranks, SETTLING),
            Part(_GIFTS, self._gifts, DAY),
            Part(_QUESTS, self._quests, HOUR),
            Part(_DOING, self._doing, 1),
            Part((*_BOOSTED, "boostCounter"), self._boosts, DAY),
            Part(_FIGHTS, self._fights, DAY),
        )
        return self._table("players", parts, shelf, simplified=small)

    def simplified(self, hero: int, moment: int) -> Row:
        """The smaller row of a hero."""
        row = {
            **self.who(hero, moment),
            **self._presence(hero, floor(moment, LEARNING)),
            **self._skills(hero, moment),
            **self._points(hero, moment),
            **self._gifts(hero, moment),
            **self._fights(hero, moment),
        }
        return {name: value for name, value in row.items() if name not in _NOT_SIMPLE}

    def who(self, hero: int, _: int) -> Row:
        """What a hero is called and whose it is: it never changes."""
        heroes = self.heroes
        numbers = heroes.numbers(hero, _SUBJECT)
        champion = heroes.champion_of(hero)
        evolved = heroes.is_evolved(hero)
        avatar = str(1 + numbers[0] % 8 + (10_000 if evolved else 0))
        name = heroes.name(hero)
        minted = str(heroes.minted(hero))
        hero_id = str(FIRST_ID + hero)
        return {
            "id": hero_id,
            "tokenId": hero_id,
            "avatarId": avatar,
            "originalAvatarId": str(1 + numbers[0] % 8),
            "owner": heroes.address(heroes.wallet(hero)),
            "name": name,
            "mintedNumber": str(hero + 1),
            "mintedTimestamp": minted,
            "pendingRandomRewards": [],
            "firstToReachMaxSkill": 0 if champion is None else int(LIVE_SKILLS[champion]),
            "isBurnt": False,
            "worldLocation": 0,
            "isFullMode": evolved,
            "lockCooldownTimestamp": "0",
            "discord": f"{name.lower()}#{numbers[1] % 10000:04}" if numbers[2] % 6 == 0 else "",
            "twitter": "",
            "telegram": "",
            "listingPrice": "0",
            "listing": None,
            "soldHistory": [],
            "avatarCosmetic": None,
            "avatarBorderCosmetic": None,
            "titleCosmetic": None,
        }

    def ranks(self, hero: int, moment: int) -> Row:
        """The place of a hero in each skill and over all; 1 is best."""
        *ranks, combined = self.heroes.ranks(hero, moment)
        row: Row = {f"{name}Rank": rank for name, rank in zip(_NAMES, ranks, strict=True)}
        return {**row, "huntingRank": 0, "combinedRank": combined}

    def _presence(self, hero: int, moment: int) -> Row:
        cycle = self.heroes.cycle(hero, moment)
        running = cycle.running(moment)
        last = moment if running else cycle.start + cycle.work
        return {
            "lastTimestamp": str(last),
            "lastActiveTimestamp": str(cycle.start),
            "isActive": running,
            "numActivities": (cycle.number + 1) * 4,
        }

    def _skills(self, hero: int, moment: int) -> Row:
        xp = self.heroes.xp(hero, moment)
        row: Row = {f"{name}XP": str(value) for name, value in zip(_NAMES, xp, strict=True)}
        return {
            **row,
            "huntingXP": "0",
            "totalXP": str(sum(xp)),
            "totalLevel": sum(map(level_of, xp)),
        }

    def _points(self, hero: int, moment: int) -> Row:
        xp = self.heroes.xp(hero, floor(moment, HOUR))
        return {"battlePoints": sum(level_of(value) // 20 + 1 for value in xp)}

    def _gifts(self, hero: int, moment: int) -> Row:
        given, entries = self.giving.given(hero, moment)
        numbers = self.heroes.numbers(hero, _SUBJECT + 1)
        tokens = self.definitions.tokens
        daily = (numbers[0] + day(moment) * 97) % 65536
        return {
            "totalDonated": str(given),
            "numRaffleEntries": entries,
            "lastDailyRewardClaimedItemTokenId": pick(tokens, daily),
            "lastWeeklyRewardClaimedItemTokenId": pick(tokens, numbers[1]),
        }

    def _quests(self, hero: int, moment: int) -> Row:
        active = self.progress.active(hero, moment)
        if active:
            quest = active["quest"]
            active = {**active, "quest": {"id": quest["id"], "questId": quest["questId"]}}
        return {
            "activeQuest": active,
            "numFixedQuestsCompleted": self.progress.completed(hero),
        }

    def _doing(self, hero: int, moment: int) -> Row:
        return {
            "queuedActions": self.queues.now(hero, floor(moment, LEARNING)),
            "activePassiveAction": self.outcomes.passive_of(hero, moment),
            "lastInstantAction": self.outcomes.instant_of(hero, moment),
            "lastInstantVRFAction": self.outcomes.random_of(hero, moment),
        }

    def _boosts(self, hero: int, moment: int) -> Row:
        numbers = self.heroes.numbers(hero, _SUBJECT + 2)
        row: Row = dict.fromkeys(_BOOSTED, 0)
        if self.heroes.is_busy(hero) and numbers[0] % 2 == 0:
            row["boostStartTime"] = start_of(day(moment)) + numbers[1] % HOUR
            row["boostDuration"] = DAY
            row["boostVal"] = pick((3, 5, 10, 20), numbers[2])
            row["boostType"] = int(pick((BoostType.ANY_XP, BoostType.GATHERING), numbers[3]))
            row["boostItemTokenId"] = pick(self.definitions.tokens, numbers[4])
        return {**row, "boostCounter": numbers[5] % 40}

    def _fights(self, hero: int, moment: int) -> Row:
        numbers = self.heroes.numbers(hero, _SUBJECT + 3)
        row: Row = {
            "isTerritoryCombatant": numbers[0] % 8 == 0,
            "isLockedVaultCombatant": numbers[0] % 8 == 1,
            "clanWarCombatantCooldownTimestamp": str(start_of(day(moment))),
        }
        for place, field in enumerate(_RECORD):
            territory, vault = numbers[2 + place] % 60, numbers[12 + place] % 90
            row[f"territory{field}"] = str(territory)
            row[f"lockedVault{field}"] = str(vault)
            row[f"total{field}"] = str(territory + vault)
        return row

    def _table(self, name: str, parts: tuple[Part, ...], shelf: Shelf, **variants: Table) -> Table:
        heroes = self.heroes
        columns = {
            f"{skill}XP": lambda moment, place=place: heroes.xp_column(place, moment)
            for place, skill in enumerate(_NAMES)
        }
        return Table(
            name,
            parts,
            lambda _: range(heroes.count),
            lambda player_id, _: heroes.find(player_id),
            shelf,
            lookups={
                "owner": lambda value, _: heroes.owned_by(value),
                "tokenId": lambda value, _: _known(heroes.find(value)),
            },
            columns={
                **columns,
                "totalXP": heroes.total_xp_column,
                "id": lambda _: [str(FIRST_ID + hero) for hero in range(heroes.count)],
                "name": lambda _: [heroes.name(hero) for hero in range(heroes.count)],
            },
            variants=variants,
            aliases={"lowercaseName": "name"},
        )


def _known(hero: int | None) -> list[int]:
    return [] if hero is None else [hero]

"""Battles of clans, the territories they are about, and who may attack whose vaults."""

from __future__ import annotations

from app.kingdom.constants import ClanBattleType
from app.sandbox.clockwork import DAY, HOUR, LAUNCH, floor, start_of
from app.sandbox.clockwork import day_of as day
from app.sandbox.dice import FACES, Dice, pick
from app.sandbox.ids import number_in
from app.sandbox.table import Part, Row, Shelf, Table
from app.sandbox.tables.clans import FIRST_CLAN, Clans, Simple
from app.sandbox.tables.definitions import LIVE_SKILLS, Definitions
from app.sandbox.tables.heroes import FIRST_ID

EVERY = 600
"""Seconds between two battles."""
ORACLE = 60
"""Seconds until a battle is decided."""
SHOWN = 300
"""How many of the last battles are shown."""
MMR_DISTANCE = 120
"""Clans may attack those whose MMR is at most this far from their own."""
_MOST_PAIRS = 200
_BRUSH = 10**18
_SIDES = ("attacking", "defending")
_BATTLE = (
    *("id", "requestId", "attackingPlayerIds", "defendingPlayerIds", "attackingRolls"),
    *("defendingRolls", "battleResults", "didAttackersWin", "attackingMMRDiff"),
    *("defendingMMRDiff", "attackingTimestamp", "ongoing", "clanBattleType", "brushWon"),
)
_MORE = (
    *("attackingPlayers", "defendingPlayers", "randomSkills", "randomWords", "territory"),
    *("item", "oracleFailed", "oracleHash"),
)
_TERRITORIES = ((5, 100, 400), (10, 30, 250), (10, 20, 0))


class Battles:
    """A battle's index is its number: one is fought every ten minutes."""

    def __init__(self, seed: int, clans: Clans, definitions: Definitions, clan_row: Simple) -> None:
        self._clans = clans
        self._definitions = definitions
        self._clan_row = clan_row
        self._dice = Dice(seed, "battles")

    def table(self, shelf: Shelf) -> Table:
        """``/clan-battles``, none if there is only one clan."""

        def make(name: str, clan: Simple, more: tuple[Part, ...], **variants: Table) -> Table:
            def fields(battle: int, moment: int) -> Row:
                sides = zip(_SIDES, self.sides(battle), strict=True)
                return {f"{side}Clan": clan(number, moment) for side, number in sides}

            parts = (
                Part(("attackingClan.id", "defendingClan.id"), self._side_ids, hidden=True),
                Part(_BATTLE, self._battle, 1),
                Part(("attackingClan", "defendingClan"), fields, HOUR),
                *more,
            )
            return Table(
                name, parts, self._latest, self._find, shelf, period=EVERY, variants=variants
            )

        small = make("clan-battles-simplified", self._clans.simplified, ())
        whole = (Part(_MORE, self._more, HOUR),)
        return make("clan-battles", self._clan_row, whole, simplified=small)

    def sides(self, battle: int) -> tuple[int, int]:
        """Who attacks whom."""
        first, second, *_ = self._dice.roll(battle)
        attacking = first * self._clans.count // FACES
        others = self._clans.count - 1
        return attacking, (attacking + 1 + second * others // FACES) % self._clans.count

    def fought(self, moment: int, kind: ClanBattleType) -> int:
        """How many battles of a kind there have been: every other one is for a territory."""
        number = self._number(moment) if self._clans.count > 1 else -1
        return (number + 2) // 2 if kind is ClanBattleType.TERRITORY else (number + 1) // 2

    def within_range(self, clan: int, moment: int) -> list[str]:
        """The ids of clans with vaults that ``clan`` may attack."""
        mmr = self._clans.mmr(clan, moment)
        return [
            str(FIRST_CLAN + other)
            for other in range(self._clans.count)
            if other != clan
            and abs(self._clans.mmr(other, moment) - mmr) <= MMR_DISTANCE
            and self._clans.vaults(other, moment)
        ]

    def _number(self, moment: int) -> int:
        return (moment - LAUNCH) // EVERY

    def _latest(self, moment: int) -> range:
        number = self._number(moment)
        return range(number - SHOWN + 1, number + 1) if self._clans.count > 1 else range(0)

    def _find(self, battle_id: str, moment: int) -> int | None:
        battle = number_in(battle_id[1:])
        there = battle is not None and battle in self._latest(moment)
        return battle if there and battle_id == self._id(battle or 0) else None

    def _id(self, battle: int) -> str:
        return f"{'b' if battle % 2 else 't'}{battle}"

    def _side_ids(self, battle: int, _: int) -> Row:
        attacking, defending = self.sides(battle)
        return {
            "attackingClan.id": str(FIRST_CLAN + attacking),
            "defendingClan.id": str(FIRST_CLAN + defending),
        }

    def _fighters(self, battle: int) -> tuple[list[int], list[int]]:
        sides = [self._clans.members[clan][:20] for clan in self.sides(battle)]
        most = min(map(len, sides))
        return sides[0][:most], sides[1][:most]

    def _battle(self, battle: int, moment: int) -> Row:
        begun = LAUNCH + battle * EVERY
        ongoing = moment < begun + ORACLE
        fighters = self._fighters(battle)
        numbers = self._dice.roll(battle, 1)
        rolls = [
            [(numbers[side * 10 + place % 10] >> place) % 8 for place in range(len(heroes))]
            for side, heroes in enumerate(fighters)
        ]
        # 1 is won, 2 is lost, seen from the attackers; a draw (0) is theirs in the end.
        results = [(a < d) + (a != d) for a, d in zip(*rolls, strict=True)]
        won = not ongoing and results.count(1) >= results.count(2)
        vault = bool(battle % 2)
        change = numbers[20] % 20 + 1
        return {
            "id": self._id(battle),
            "requestId": str(battle),
            "attackingPlayerIds": [str(FIRST_ID + hero) for hero in fighters[0]],
            "defendingPlayerIds": [str(FIRST_ID + hero) for hero in fighters[1]],
            "attackingRolls": [] if ongoing else rolls[0],
            "defendingRolls": [] if ongoing else rolls[1],
            "battleResults": [] if ongoing else results,
            "didAttackersWin": won,
            "attackingMMRDiff": 0 if ongoing else change if won else -change,
            "defendingMMRDiff": 0 if ongoing else -change if won else change,
            "attackingTimestamp": str(begun),
            "ongoing": ongoing,
            "clanBattleType": (
                ClanBattleType.LOCKED_VAULT if vault else ClanBattleType.TERRITORY
            ).value,
            "brushWon": str((numbers[21] % 900 + 1) * _BRUSH) if won and vault else "0",
        }

    def _more(self, battle: int, moment: int) -> Row:
        fighters = self._fighters(battle)
        numbers = self._dice.roll(battle, 2)
        territory = None if battle % 2 else self.territory(numbers[0] % 25, moment)
        return {
            "attackingPlayers": [str(FIRST_ID + hero) for hero in fighters[0]],
            "defendingPlayers": [str(FIRST_ID + hero) for hero in fighters[1]],
            "randomSkills": [
                int(pick(LIVE_SKILLS, numbers[1 + place])) for place in range(len(fighters[0]))
            ],
            "randomWords": [str(self._dice.number(battle, 3))],
            "territory": territory,
            "item": None,
            "oracleFailed": False,
            "oracleHash": "0x" + self._dice.digits(battle, 4, 32),
        }

    def territory(self, place: int, moment: int) -> Row:
        """One of the 25 territories; the strongest share in the emissions the most."""
        left, percentage, least = place, 0, 0
        for many, percentage, least in _TERRITORIES:  # noqa: B007 - the last ones are used
            if left < many:
                break
            left -= many
        numbers = self._dice.roll(place, 5 + day(moment))
        held = numbers[0] % 5 > 0
        clan = numbers[1] * self._clans.count // FACES
        harvested = floor(moment, 8 * HOUR)
        return {
            "id": str(place + 1),
            "territoryId": place + 1,
            "percentageEmissions": percentage,
            "clanOccupier": self._clans.simplified(clan, moment) if held else None,
            "unclaimedEmissions": str((moment - harvested) // 60 * percentage * 10**15),
            "nextHarvestAllowedTimestamp": str(harvested + 8 * HOUR),
            "minMMR": least,
        }

    def territory_table(self, shelf: Shelf) -> Table:
        """``/territories``."""
        fields = (
            *("id", "territoryId", "percentageEmissions", "clanOccupier", "minMMR"),
            *("unclaimedEmissions", "nextHarvestAllowedTimestamp"),
        )
        count = sum(many for many, _, __ in _TERRITORIES)
        return Table(
            "territories",
            (Part(fields, self.territory, 60),),
            lambda _: range(count),
            lambda wanted, _: next((k for k in range(count) if str(k + 1) == wanted), None),
            shelf,
            aliases={"percentEmissions": "percentageEmissions"},
        )

    def pair_table(self, shelf: Shelf) -> Table:
        """``/locked-bank-vault-clan-battle-pairs``: each clan has attacked the next one."""
        count = min(self._clans.count, _MOST_PAIRS) if self._clans.count > 1 else 0
        ids = {self._pair_id(clan): clan for clan in range(count)}

        def row(clan: int, moment: int) -> Row:
            other = (clan + 1) % self._clans.count
            numbers = self._dice.roll(clan, 4)
            attacked = start_of(day(moment)) - numbers[0] % DAY
            return {
                "id": self._pair_id(clan),
                "attackingClan": self._clan_row(clan, moment),
                "defendingClan": self._clan_row(other, moment),
                "attackingCooldownTimestamp": str(attacked + DAY + 4 * HOUR),
                "reattacksMadeWithinTimestamp": str(numbers[1] % 3),
            }

        fields = ("id", "attackingClan", "defendingClan", "attackingCooldownTimestamp")
        return Table(
            "locked-bank-vault-clan-battle-pairs",
            (Part((*fields, "reattacksMadeWithinTimestamp"), row, HOUR),),
            lambda _: range(count),
            lambda wanted, _: ids.get(wanted),
            shelf,
        )

    def _pair_id(self, clan: int) -> str:
        return f"{FIRST_CLAN + clan}_{FIRST_CLAN + (clan + 1) % self._clans.count}"

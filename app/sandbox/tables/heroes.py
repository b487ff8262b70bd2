"""What is known of every hero: who owns it, what it trains, how much it knows by now.

A hero is its number, 0 to ``count - 1``. It works through queues of actions, one after the
other, with a rest between them, and what it learns grows while a queue runs.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Sequence
from functools import cached_property, lru_cache
from operator import add
from typing import NamedTuple

from app.kingdom.constants import Skill
from app.kingdom.levels import level_of, thresholds
from app.sandbox.clockwork import DAY, HOUR, LAUNCH, MINTING, floor
from app.sandbox.dice import FACES, Dice
from app.sandbox.ids import number_in
from app.sandbox.tables.definitions import LIVE_SKILLS

FIRST_ID = 200_000
"""Ids of heroes begin here, as they do on the chain."""
LEARNING = 10
"""XP is counted anew every so many seconds."""
SETTLING = HOUR
"""Ranks are worked out anew every so many seconds."""
QUEUE = 3
"""A queue holds this many actions."""
_MOST_XP = 17_000_000
_WHO = 17
"""The first 17 numbers rolled for a hero are its skills; the rest is what it does."""

_GIVEN = (
    *("Ash", "Bram", "Cor", "Dun", "Eld", "Fen", "Gor", "Hal", "Isk", "Jor", "Kel", "Lor"),
    *("Mor", "Nim", "Oak", "Pyr", "Quil", "Rav", "Syl", "Thorn", "Ulf", "Vex", "Wyn", "Yar"),
)
_MIDDLE = ("a", "e", "i", "o", "u", "ae", "an", "ar", "el", "en", "er", "il", "in", "or", "un", "y")
_FAMILY = (
    *("bane", "born", "claw", "dale", "fang", "foot", "gale", "hart", "jaw", "keep", "lock"),
    *("mane", "nook", "paw", "reach", "song", "tail", "vale", "ward", "wick", "wind", "wise"),
)
_NAMES = len(_GIVEN) * len(_MIDDLE) * len(_FAMILY)


class Cycle(NamedTuple):
    """A hero's queue at a moment: the ``number``-th, begun at ``start``, ``work`` seconds long."""

    number: int
    start: int
    work: int
    period: int

    def running(self, moment: int) -> bool:
        return moment < self.start + self.work


class Heroes:
    """``count`` heroes of the kingdom of ``seed``."""

    def __init__(self, seed: int, count: int) -> None:
        self.count = count
        self.wallets = max(1, count * 3 // 5)
        self._dice = Dice(seed, "heroes")
        self._addresses = Dice(seed, "wallets")
        self._spread = seed % _NAMES
        self._rolled = lru_cache(4096)(self._dice.roll)
        # Now, and what somebody asks about an earlier block.
        self._settled = lru_cache(2)(self._sort_columns)

    def numbers(self, hero: int, subject: int = 0) -> tuple[int, ...]:
        """Rolled numbers of a hero for a subject of its own (0 is for this class)."""
        return self._rolled(hero, subject)

    def address(self, wallet: int) -> str:
        """The address of a wallet, 0 to ``wallets - 1``."""
        return "0x" + self._addresses.digits(wallet)

    @cached_property
    def wallet_of(self) -> Sequence[int]:
        """The wallet of every hero. Every wallet has a hero, the first ones have many."""
        return array("q", [self.wallet(hero) for hero in range(self.count)])

    def wallet(self, hero: int) -> int:
        """The wallet that holds a hero."""
        if hero < self.wallets:
            return hero
        number = self.numbers(hero)[17]
        return number * number // FACES * self.wallets // FACES

    @cached_property
    def of_wallet(self) -> dict[int, list[int]]:
        """The heroes of every wallet."""
        found: dict[int, list[int]] = {}
        for hero, wallet in enumerate(self.wallet_of):
            found.setdefault(wallet, []).append(hero)
        return found

    @cached_property
    def wallet_at(self) -> dict[str, int]:
        """The wallet of every address."""
        return {self.address(wallet): wallet for wallet in range(self.wallets)}

    def owned_by(self, address: str) -> list[int]:
        """The heroes of an address in lower case; none if nobody has it."""
        wallet = self.wallet_at.get(address)
        return [] if wallet is None else self.of_wallet[wallet]

    def find(self, player_id: str) -> int | None:
        """The hero with the id ``player_id``."""
        hero = (number_in(player_id) or 0) - FIRST_ID
        return hero if 0 <= hero < self.count else None

    def name(self, hero: int) -> str:
        """Names are all different: they are counted through in a scattered order."""
        place = (hero * 5003 + self._spread) % _NAMES
        place, given = divmod(place, len(_GIVEN))
        family, middle = divmod(place, len(_MIDDLE))
        again = hero // _NAMES
        return (
            f"{_GIVEN[given]}{_MIDDLE[middle]}{_FAMILY[family]}{f' {again + 1}' if again else ''}"
        )

    def minted(self, hero: int) -> int:
        """When a hero was minted: in the order of their ids."""
        return LAUNCH + hero * MINTING // self.count

    def is_busy(self, hero: int) -> bool:
        """Whether a hero still plays; the others rest since their last queue."""
        return self.numbers(hero)[18] % 5 < 3

    def is_evolved(self, hero: int) -> bool:
        """Whether a hero was upgraded to play in full."""
        return self.numbers(hero)[31] % 4 == 0

    def cycle(self, hero: int, moment: int) -> Cycle:
        """The queue that a hero began last; that of a hero at rest is long over."""
        numbers = self.numbers(hero)
        period = (8 + numbers[19] % 20) * HOUR + numbers[20] % HOUR
        work = min(period * (50 + numbers[21] % 45) // 100, DAY)
        since = self.minted(hero) + numbers[22] * period // FACES
        seen = moment if self.is_busy(hero) else min(moment, since + (5 + numbers[23] % 60) * DAY)
        number = max(0, (seen - since) // period)
        return Cycle(number, since + number * period, work, period)

    def trained(self, hero: int, moment: int) -> int:
        """Seconds that a hero has worked through, up to ``moment``."""
        cycle = self.cycle(hero, moment)
        return cycle.number * cycle.work + min(max(0, moment - cycle.start), cycle.work)

    def focus(self, hero: int) -> int:
        """The place in ``LIVE_SKILLS`` of the skill that a hero trains."""
        return self.numbers(hero)[24] % len(LIVE_SKILLS)

    def gained(self, hero: int, moment: int) -> int:
        """XP that a hero has trained in the skill of its focus."""
        per_hour = 20 + self.numbers(hero)[25] % 700
        return per_hour * self.trained(hero, floor(moment, LEARNING)) // HOUR

    def begun_with(self, hero: int) -> list[int]:
        """The XP in each of ``LIVE_SKILLS`` that does not come from training here."""
        numbers = self.numbers(hero)
        talent = (20_000 + numbers[26] * 45_000 // FACES) / (FACES * FACES)
        known = [number * talent for number in numbers[:_WHO]]
        xp = [int(part * part * part * part * _MOST_XP) + 84 for part in known]
        champion = self.champion_of(hero)
        if champion is not None:
            xp[champion] = thresholds()[-1] + hero
        return xp

    def champion_of(self, hero: int) -> int | None:
        """The place in ``LIVE_SKILLS`` of the skill that a hero was the first to master."""
        stride = max(1, self.count // len(LIVE_SKILLS))
        place, rest = divmod(hero, stride)
        return place if rest == 0 and place < len(LIVE_SKILLS) else None

    def champion(self, place: int) -> int | None:
        """The hero that was the first to master a skill; a small kingdom has fewer."""
        hero = place * max(1, self.count // len(LIVE_SKILLS))
        return hero if hero < self.count else None

    def xp(self, hero: int, moment: int) -> list[int]:
        """The XP in each of ``LIVE_SKILLS``."""
        xp = self.begun_with(hero)
        xp[self.focus(hero)] += self.gained(hero, moment)
        return xp

    def total_level(self, hero: int, moment: int) -> int:
        return sum(map(level_of, self.xp(hero, moment)))

    # Whole columns, for sorting and ranks: what does not change is worked out once.

    @cached_property
    def _begun(self) -> list[array[int]]:
        rows = [self.begun_with(hero) for hero in range(self.count)]
        return [array("q", column) for column in zip(*rows, strict=True)]

    @cached_property
    def _begun_total(self) -> array[int]:
        return array("q", map(sum, zip(*self._begun, strict=True)))

    @cached_property
    def _trainees(self) -> list[list[int]]:
        found: list[list[int]] = [[] for _ in LIVE_SKILLS]
        for hero in range(self.count):
            found[self.focus(hero)].append(hero)
        return found

    def xp_column(self, place: int, moment: int) -> array[int]:
        """The XP of all heroes in one of ``LIVE_SKILLS``."""
        column = array("q", self._begun[place])
        for hero in self._trainees[place]:
            column[hero] += self.gained(hero, moment)
        return column

    def total_xp_column(self, moment: int) -> array[int]:
        """The total XP of all heroes."""
        gained = (self.gained(hero, moment) for hero in range(self.count))
        return array("q", map(add, self._begun_total, gained))

    def ranks(self, hero: int, moment: int) -> list[int]:
        """The rank in each of ``LIVE_SKILLS`` and over all, 1 is best, as of the full hour."""
        settled = floor(moment, SETTLING)
        xp = self.xp(hero, settled)
        return [
            self.count - bisect_right(column, value) + 1
            for column, value in zip(self._settled(settled), [*xp, sum(xp)], strict=True)
        ]

    def _sort_columns(self, moment: int) -> list[array[int]]:
        columns = [self.xp_column(place, moment) for place in range(len(LIVE_SKILLS))]
        columns.append(self.total_xp_column(moment))
        return [array("q", sorted(column)) for column in columns]


def skill_name(skill: Skill) -> str:
    """As the upstream's fields are named after it: ``woodcutting``."""
    return skill.name.lower()

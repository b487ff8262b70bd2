"""Donations, the lottery that each of them enters, and the days' sums of both.

A donor gives the same amount every ``every`` days. So what anybody has given by a day is a
product, and all sums agree with each other without anything being added up over time.
"""

from __future__ import annotations

from bisect import bisect_right
from functools import cached_property, lru_cache
from typing import NamedTuple

from app.sandbox.clockwork import DAY, MINTING, day_of, start_of
from app.sandbox.dice import Dice, pick, within
from app.sandbox.ids import number_in
from app.sandbox.table import Part, Row, Shelf, Table
from app.sandbox.tables.definitions import Definitions
from app.sandbox.tables.heroes import FIRST_ID, Heroes

FIRST_DAY = MINTING // DAY
"""The day of the first donation: all heroes are there."""
_LONGEST = 14
_MOST_DONORS = 500
_BRUSH = 10**18


class Habit(NamedTuple):
    """A donor gives ``amount`` wei on each day that leaves the rest ``when`` by ``every``."""

    hero: int
    amount: int
    every: int
    when: int

    def times(self, day: int) -> int:
        """How often it has given, that day included."""
        first = FIRST_DAY + (self.when - FIRST_DAY) % self.every
        return 0 if day < first else (day - first) // self.every + 1

    def latest(self, day: int) -> int:
        """The last day on which it gave."""
        return day - (day - self.when) % self.every


class Giving:
    """Who gives what, and what the lottery makes of it."""

    def __init__(self, seed: int, heroes: Heroes, definitions: Definitions) -> None:
        self._heroes = heroes
        self._definitions = definitions
        self._dice = Dice(seed, "giving")
        self._stride = max(3, heroes.count // _MOST_DONORS)
        self._donors = lru_cache(1024)(self._find_donors)
        self._by_wallet = lru_cache(4)(self._add_up)
        self._sums = [0]

    def habit(self, hero: int) -> Habit | None:
        """How a hero gives; most do not. One in ``_stride`` does, by its number."""
        if hero % self._stride:
            return None
        numbers = self._dice.roll(hero)
        every = 1 + numbers[0] % _LONGEST
        return Habit(hero, within(1, 200, numbers[1]) * _BRUSH, every, numbers[2] % every)

    @cached_property
    def habits(self) -> list[Habit]:
        """Those of all donors, by hero."""
        found = (self.habit(hero) for hero in range(0, self._heroes.count, self._stride))
        return [habit for habit in found if habit]

    def given(self, hero: int, moment: int) -> tuple[int, int]:
        """What a hero has given by a moment, in wei, and how often."""
        habit = self.habit(hero)
        times = habit.times(day_of(moment)) if habit else 0
        return (habit.amount * times if habit else 0), times

    def donors_on(self, day: int) -> list[Habit]:
        """Those who gave on ``day``, by hero."""
        return self._donors(day)

    def _find_donors(self, day: int) -> list[Habit]:
        return [habit for habit in self.habits if day % habit.every == habit.when]

    def given_by_wallet(self, moment: int) -> dict[int, int]:
        """What each wallet that gave has given, in wei, through its heroes."""
        return self._by_wallet(day_of(moment))

    def _add_up(self, day: int) -> dict[int, int]:
        found: dict[int, int] = {}
        for habit in self.habits:
            wallet = self._heroes.wallet(habit.hero)
            found[wallet] = found.get(wallet, 0) + habit.amount * habit.times(day)
        return dict(sorted(found.items()))

    def day_table(self, shelf: Shelf) -> Table:
        """``/donation-day-datas``: a row a day, its index is the day."""
        return Table(
            "donation-day-datas",
            (Part(("id", "date", "totalDonated", "numDonators", "numLotteryEntries"), self._day),),
            lambda moment: range(FIRST_DAY, day_of(moment) + 1),
            lambda _, __: None,
            shelf,
            period=DAY,
        )

    def _day(self, day: int, _: int) -> Row:
        donors = self.donors_on(day)
        return {
            "id": str(day),
            "date": str(start_of(day)),
            "totalDonated": str(sum(habit.amount for habit in donors)),
            "numDonators": len(donors),
            "numLotteryEntries": len(donors),
        }

    def lottery_table(self, shelf: Shelf) -> Table:
        """``/lotteries``: one a day; that of today has no winner yet."""
        fields = ("id", "raffleIdWinner", "hasClaimed", "rewardItemTokenId", "rewardAmount")
        return Table(
            "lotteries",
            (Part((*fields, "timestamp"), self._lottery, DAY),),
            lambda moment: range(FIRST_DAY, day_of(moment) + 1),
            self._find_lottery,
            shelf,
            period=DAY,
        )

    def _lottery(self, day: int, moment: int) -> Row:
        numbers = self._dice.roll(day, 1)
        drawn = day < day_of(moment)
        entries = len(self.donors_on(day)) if drawn else 0
        return {
            "id": str(day),
            "raffleIdWinner": str(within(1, entries, numbers[0])) if entries else "0",
            "hasClaimed": bool(entries) and (day < day_of(moment) - 7 or numbers[1] % 2 == 0),
            "rewardItemTokenId": pick(self._definitions.tokens, numbers[2]),
            "rewardAmount": str(within(1, 50, numbers[3])),
            "timestamp": str(start_of(day)),
        }

    def _find_lottery(self, lottery_id: str, moment: int) -> int | None:
        day = number_in(lottery_id) or 0
        return day if FIRST_DAY <= day <= day_of(moment) else None

    # Raffle entries are counted through from the first day: the index of a day's first entry is
    # the number of all entries before that day.

    def raffle_table(self, shelf: Shelf) -> Table:
        """``/raffle-entries``: an entry for every donation."""
        fields = ("id", "lotteryId", "raffleId", "playerId", "user", "timestamp")
        return Table(
            "raffle-entries",
            (Part(fields, self._entry),),
            lambda moment: range(self._entries_before(day_of(moment) + 1)),
            self._find_entry,
            shelf,
            period=DAY,
            lookups={"lotteryId": self._entries_of},
        )

    def _entry(self, index: int, _: int) -> Row:
        past = bisect_right(self._sums, index) - 1
        day, place = FIRST_DAY + past, index - self._sums[past]
        hero = self._donors(day)[place].hero
        return {
            "id": f"{day}_{place + 1}",
            "lotteryId": str(day),
            "raffleId": str(place + 1),
            "playerId": str(FIRST_ID + hero),
            "user": self._heroes.address(self._heroes.wallet(hero)),
            "timestamp": str(start_of(day)),
        }

    def _entries_before(self, day: int) -> int:
        while len(self._sums) <= day - FIRST_DAY:
            next_day = FIRST_DAY + len(self._sums) - 1
            self._sums.append(self._sums[-1] + len(self._donors(next_day)))
        return self._sums[day - FIRST_DAY]

    def _entries_of(self, lottery_id: str, moment: int) -> range:
        day = self._find_lottery(lottery_id, moment)
        if day is None:
            return range(0)
        return range(self._entries_before(day), self._entries_before(day + 1))

    def _find_entry(self, entry_id: str, moment: int) -> int | None:
        lottery_id, _, raffle_id = entry_id.partition("_")
        entries = self._entries_of(lottery_id, moment)
        place = (number_in(raffle_id) or 0) - 1
        return entries[place] if 0 <= place < len(entries) else None

"""``/donations``: what heroes have given, or, by wallet, what users have."""

from __future__ import annotations

from functools import cached_property

from app.sandbox.clockwork import DAY, day_of, start_of
from app.sandbox.table import Part, Row, Shelf, Table
from app.sandbox.tables.clans import Simple
from app.sandbox.tables.giving import Giving, Habit
from app.sandbox.tables.heroes import FIRST_ID, LEARNING, Heroes

_FIELDS = (
    *("id", "user", "player", "amount", "lastDonatedAmount", "lastUpdatedTimestamp"),
    *("donationAmountRank",),
)


class Donations:
    """Donations by hero (a row's index is the donor's place) and by wallet (its place too)."""

    def __init__(self, heroes: Heroes, giving: Giving) -> None:
        self._heroes = heroes
        self._giving = giving
        self._ranked_on: tuple[int, dict[int, int]] = (-1, {})

    def hero_table(self, shelf: Shelf, player: Simple, simplified: Simple) -> Table:
        """Donations by hero; ``useUsers`` and ``simplified`` are variants."""
        small = self._table("donations-simplified", simplified, shelf)
        users = self._user_table(shelf)
        return self._table("donations", player, shelf, simplified=small, useUsers=users)

    def _table(self, name: str, player: Simple, shelf: Shelf, **variants: Table) -> Table:
        def row(place: int, moment: int) -> Row:
            habit = self._giving.habits[place]
            amounts = self._amounts(place, moment)
            return {
                "user": None,
                "player": player(habit.hero, moment),
                **amounts,
                "donationAmountRank": str(self._rank(habit.hero, moment)),
            }

        return Table(
            name,
            (
                Part(_WHO, self._who, hidden=True),
                Part(_GIVEN, self._amounts, DAY, hidden=True),
                Part(_FIELDS, row, LEARNING),
            ),
            lambda _: range(len(self._giving.habits)),
            lambda _, __: None,
            shelf,
            variants=variants,
        )

    def _who(self, place: int, _: int) -> Row:
        hero = self._giving.habits[place].hero
        return {
            "player.id": str(FIRST_ID + hero),
            "player.name": self._heroes.name(hero),
            "player.owner": self._heroes.address(self._heroes.wallet(hero)),
            "player.isFullMode": self._heroes.is_evolved(hero),
        }

    def _amounts(self, place: int, moment: int) -> Row:
        habit = self._giving.habits[place]
        return {
            "id": str(FIRST_ID + habit.hero),
            "amount": str(self._giving.given(habit.hero, moment)[0]),
            "lastDonatedAmount": str(habit.amount),
            "lastUpdatedTimestamp": str(start_of(habit.latest(day_of(moment)))),
        }

    def _rank(self, hero: int, moment: int) -> int:
        today = day_of(moment)
        if self._ranked_on[0] != today:

            def given(habit: Habit) -> int:
                return habit.amount * habit.times(today)

            ranked = sorted(self._giving.habits, key=given, reverse=True)
            self._ranked_on = (today, {one.hero: at for at, one in enumerate(ranked, 1)})
        return self._ranked_on[1][hero]

    def _user_table(self, shelf: Shelf) -> Table:
        def row(place: int, moment: int) -> Row:
            given = self._giving.given_by_wallet(moment)
            wallet = self._wallets[place]
            latest = max(
                (habit.latest(day_of(moment)), habit.amount)
                for hero in self._heroes.of_wallet[wallet]
                if (habit := self._giving.habit(hero))
            )
            address = self._heroes.address(wallet)
            return {
                "id": address,
                "user": address,
                "player": None,
                "amount": str(given[wallet]),
                "lastDonatedAmount": str(latest[1]),
                "lastUpdatedTimestamp": str(start_of(latest[0])),
                "donationAmountRank": str(
                    1 + sum(amount > given[wallet] for amount in given.values())
                ),
            }

        return Table(
            "donations-by-user",
            (Part(_FIELDS, row, DAY),),
            lambda _: range(len(self._wallets)),
            lambda _, __: None,
            shelf,
        )

    @cached_property
    def _wallets(self) -> list[int]:
        return sorted({self._heroes.wallet(habit.hero) for habit in self._giving.habits})


_WHO = ("player.id", "player.name", "player.owner", "player.isFullMode")
_GIVEN = ("id", "amount", "lastDonatedAmount", "lastUpdatedTimestamp")

"""Donations: products and sums that agree, whatever the day."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from app.sandbox.clockwork import start_of
from app.sandbox.table import Shelf
from app.sandbox.tables.definitions import Definitions
from app.sandbox.tables.giving import FIRST_DAY, Giving, Habit
from app.sandbox.tables.heroes import Heroes
from tests.sandbox.asker import NOW

heroes = Heroes(8, 200)
giving = Giving(8, heroes, Definitions(8, {}))


@given(st.integers(1, 14), st.integers(0, 13), st.integers(FIRST_DAY - 5, FIRST_DAY + 60))
def test_a_habit_is_what_one_counts(every: int, when: int, day: int) -> None:
    habit = Habit(0, 5, every, when % every)
    days = [one for one in range(FIRST_DAY, day + 1) if one % every == habit.when]
    assert habit.times(day) == len(days)
    if days:
        assert habit.latest(day) == days[-1]


@given(st.integers(FIRST_DAY, FIRST_DAY + 900))
def test_a_days_sums(day: int) -> None:
    today, before = start_of(day), start_of(day - 1)
    row = giving.day_table(Shelf()).row(day, today)
    given_today = [
        giving.given(hero, today)[0] - giving.given(hero, before)[0] for hero in range(200)
    ]
    assert int(row["totalDonated"]) == sum(given_today)
    assert row["numDonators"] == row["numLotteryEntries"] == sum(map(bool, given_today))
    assert sum(giving.given_by_wallet(today).values()) == sum(
        giving.given(hero, today)[0] for hero in range(200)
    )


@given(st.integers(FIRST_DAY, FIRST_DAY + 900))
def test_everybody_who_gave_is_in_the_lottery(day: int) -> None:
    table = giving.raffle_table(Shelf())
    moment = start_of(day) + 5
    entries = [table.row(index, moment) for index in table.lookups["lotteryId"](str(day), moment)]
    assert [int(row["playerId"]) - 200_000 for row in entries] == [
        habit.hero for habit in giving.donors_on(day)
    ]
    assert [row["raffleId"] for row in entries] == [str(n + 1) for n in range(len(entries))]
    for row in entries:
        index = table.find(row["id"], moment)
        assert index is not None
        assert table.row(index, moment) == row


def test_entries_come_day_by_day() -> None:
    table = giving.raffle_table(Shelf())
    days = [int(table.row(index, NOW)["lotteryId"]) for index in table.indices(NOW)]
    assert days == sorted(days)
    assert days[0] == FIRST_DAY
    last = table.row(table.indices(NOW)[-1], NOW)
    assert int(last["timestamp"]) <= NOW


def test_ids_of_nothing() -> None:
    raffle, lotteries = giving.raffle_table(Shelf()), giving.lottery_table(Shelf())
    for wanted in ("", "_", "200_", "200_0", "200_999", "1_1", "x_1", "200"):
        assert raffle.find(wanted, NOW) is None
    for wanted in ("", "0", "199", "99999", "x"):
        assert lotteries.find(wanted, NOW) is None
    assert lotteries.find("200", NOW) == 200


def test_a_lottery_is_drawn_the_next_day() -> None:
    table = giving.lottery_table(Shelf())
    day = table.indices(NOW)[-1]
    today, tomorrow = table.row(day, NOW), table.row(day, NOW + 86_400)
    assert (today["raffleIdWinner"], today["hasClaimed"]) == ("0", False)
    assert 1 <= int(tomorrow["raffleIdWinner"]) <= len(giving.donors_on(day))


def test_a_big_kingdom_has_not_more_donors_than_can_be_counted() -> None:
    big = Giving(1, Heroes(1, 400_000), Definitions(1, {}))
    assert len(big.habits) <= 501

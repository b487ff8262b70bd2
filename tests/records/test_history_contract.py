"""The promises of ``app/records/history.py``, held by every history over a real engine."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path

import pytest

from app.errors import StoreUnavailable
from app.records.history import INTERVAL, History, Point, Series, Thinned
from tests.real.mongodb import MongoServer, mongo_database, mongo_server
from tests.records.histories import (
    DAY,
    TODAY,
    Model,
    Open,
    at_day,
    every,
    mongo_history,
    nowhere,
    sqlite_history,
)

__all__ = ["mongo_database", "mongo_server"]

ADA = Series("players", "1", "meleeXP")
BEN = Series("players", "10", "meleeXP")
NOW = float(TODAY * DAY + 3600)


@pytest.fixture(params=["sqlite", pytest.param("mongodb", marks=pytest.mark.real("mongodb"))])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    """Opens a history over one place, which is empty."""
    if request.param == "sqlite":
        return partial(sqlite_history, tmp_path)
    server: MongoServer = request.getfixturevalue("mongo_server")
    return partial(mongo_history, server.uri, request.getfixturevalue("mongo_database"))


@pytest.fixture
async def history(opened: Open) -> AsyncIterator[History]:
    made = opened()
    yield made
    await made.aclose()


async def all_of(history: History, series: Series) -> list[Point]:
    return await history.series(series, since=0.0, until=1e11, limit=100_000)


async def thin(history: History, now: float = NOW, limit: int = 1_000) -> Thinned:
    return await history.thin(now, limit=limit)


async def test_of_what_was_never_added_nothing_is_known(history: History) -> None:
    assert await all_of(history, ADA) == []
    assert await history.latest(ADA, before=1e11) is None
    assert await history.fields("players", "1") == []
    assert await thin(history) == (0, 0)
    await history.add([])


async def test_points_come_back_as_they_were_in_order_of_time(history: History) -> None:
    points = [at_day(-400, 7), at_day(-3.5, 0), at_day(-1, 84), at_day(0, 17_750_997)]
    await history.add([(ADA, point) for point in random.Random(4).sample(points, 4)])
    assert await all_of(history, ADA) == points


@pytest.mark.parametrize(
    "value", ["0", "-5", str(2**63 - 1), str(2**63), str(-(2**63) - 1), str(10**19), "9" * 78]
)
async def test_values_of_any_size_are_kept(history: History, value: str) -> None:
    await history.add([(ADA, Point(TODAY * DAY, value))])
    assert await all_of(history, ADA) == [(TODAY * DAY, value)]


async def test_of_an_interval_the_point_counts_that_was_added_last(history: History) -> None:
    start = TODAY * DAY
    await history.add([(ADA, Point(start, "1")), (ADA, Point(start + INTERVAL - 1, "2"))])
    assert await all_of(history, ADA) == [(start + INTERVAL - 1, "2")]
    await history.add([(ADA, Point(start + 10, "3"))])
    await history.add([(ADA, Point(start + INTERVAL, "4"))])
    assert await all_of(history, ADA) == [(start + 10, "3"), (start + INTERVAL, "4")]


async def test_to_add_points_twice_changes_nothing(history: History) -> None:
    points = [(ADA, point) for point in every(1000, [-70, -5, -1])]
    await history.add(points)
    before = await all_of(history, ADA)
    await history.add(points)
    assert await all_of(history, ADA) == before


@pytest.mark.parametrize(
    ("since", "until", "limit", "found"),
    [
        (0, 9, 9, [0, 1, 2, 3]),
        (0, 9, 2, [0, 1]),
        (0, 9, 0, []),
        (1, 3, 9, [1, 2]),
        (1, 3, 1, [1]),
        (1.001, 2.999, 9, [2]),
        (2, 2, 9, []),
        (3, 1, 9, []),
        (3.01, 9, 9, []),
    ],
)
async def test_a_part_of_a_series(
    history: History, since: float, until: float, limit: int, found: list[int]
) -> None:
    # Nine days apart: each in a week of its own.
    start = TODAY * DAY + 17
    await history.add([(ADA, Point(start + 9 * DAY * number, str(number))) for number in range(4)])
    points = await history.series(
        ADA, since=start + since * 9 * DAY, until=start + until * 9 * DAY, limit=limit
    )
    assert [int(point.value) for point in points] == found


async def test_the_latest_before_a_time(history: History) -> None:
    start = TODAY * DAY
    other = Series("players", "1", "rangedXP")
    points = [Point(start, "1"), Point(start + 20, "2"), Point(start + 30 * DAY, "3")]
    await history.add([(ADA, points[0]), (ADA, points[2]), (other, points[1])])
    await history.add([(ADA, points[1]._replace(at=start + INTERVAL))])
    latest = partial(history.latest, ADA)
    assert await latest(before=start) is None
    assert await latest(before=start + 0.5) == points[0]
    assert await latest(before=start + INTERVAL) == points[0]
    assert await latest(before=start + INTERVAL + 1) == (start + INTERVAL, "2")
    assert await latest(before=start + 30 * DAY) == (start + INTERVAL, "2")
    assert await latest(before=1e11) == points[2]
    assert await history.latest(other, before=1e11) == points[1]


async def test_series_are_kept_apart(history: History) -> None:
    names = ["1", "10", "1/02928", "1/", "", "%31", "ä", "\x00", "🗡"]
    fields = ["lockedBankVaults.amount", "lockedBankVaults", "$inc", "a%2Eb", "a.b", "ü"]
    everything = [
        Series(kind, id_, field)
        for kind in ("clans", "clans/1")
        for id_ in names
        for field in fields
    ]
    await history.add([(series, at_day(-1, number)) for number, series in enumerate(everything)])
    for number, series in enumerate(everything):
        assert await all_of(history, series) == [at_day(-1, number)], series
    for id_ in names:
        assert await history.fields("clans", id_) == sorted(fields)
    assert await history.fields("clan", "1") == []


async def test_points_grow_coarser_with_age(history: History) -> None:
    await history.add([(ADA, point) for point in every(INTERVAL, [-61, -60, -3, -2, 0])])
    done = await thin(history)
    left = await all_of(history, ADA)
    days = [point.at // DAY - TODAY for point in left]
    assert {day: days.count(day) for day in days} == {-61: 1, -60: 24, -3: 24, -2: 288, 0: 288}
    assert all((point.at + INTERVAL) % 3600 == 0 for point in left if point.at < (TODAY - 2) * DAY)
    assert left[0].at == (TODAY - 60) * DAY - INTERVAL
    assert done.forgotten == 5 * 288 - len(left)
    assert (await thin(history)).forgotten == 0
    assert await all_of(history, ADA) == left


async def test_what_is_as_coarse_as_can_be_is_not_looked_at_again(history: History) -> None:
    await history.add([(ADA, at_day(-100)), (BEN, at_day(-100.01))])
    assert await thin(history) == (2, 0)
    assert await thin(history, NOW + 400 * DAY) == (0, 0)
    await history.add([(ADA, at_day(-99.98))])
    assert await thin(history) == (1, 1)


async def test_a_point_that_is_late_is_thinned_all_the_same(history: History) -> None:
    await history.add([(ADA, at_day(-5.99, 1)), (ADA, at_day(0, 2))])
    await thin(history)
    await history.add([(ADA, at_day(-5.98, 3)), (ADA, at_day(-200.99, 4)), (ADA, at_day(-200.9))])
    assert (await thin(history)).forgotten == 2
    values = [point.value for point in await all_of(history, ADA)]
    assert values == ["1", "3", "2"]


async def test_thinning_goes_on_where_it_was_cut_off(history: History) -> None:
    model = Model()
    points = [
        (Series("players", str(number), "totalXP"), point)
        for number in range(25)
        for point in every(1200, [-9, -4], offset=number)
    ]
    model.add(points)
    await history.add(points)
    expected = model.thin(NOW)
    steps: list[Thinned] = []
    while not steps or steps[-1].looked_at == 4:
        steps.append(await thin(history, limit=4))
        assert len(steps) < 100
    assert sum(step.forgotten for step in steps) == expected
    for series in model.slots:
        assert await all_of(history, series) == model.series(series)


async def test_thinning_that_is_cancelled_has_lost_nothing(history: History, opened: Open) -> None:
    model = Model()
    points = [
        (Series("players", str(number), "totalXP"), point)
        for number in range(120)
        for point in every(7200, [-9], offset=number)
    ]
    points += [(series, Point(point.at + 301, "9")) for series, point in points]
    model.add(points)
    await history.add(points)
    model.thin(NOW)
    under_way = asyncio.create_task(thin(history))
    await asyncio.sleep(0)
    under_way.cancel()
    await asyncio.gather(under_way, return_exceptions=True)
    again = opened()
    while (await thin(again)).looked_at:
        pass
    for number in (0, 1, 60, 119):
        series = Series("players", str(number), "totalXP")
        assert await all_of(again, series) == model.series(series)
    await again.aclose()


def _lives(rng: random.Random) -> Iterator[tuple[float, list[tuple[Series, Point]]]]:
    """What is added on the days of a few months, some of it late, and when it is thinned."""
    day = TODAY - 130
    while day < TODAY:
        points = []
        for _ in range(rng.randrange(40)):
            late = rng.choice([0, 0, 0, 1, 3, 61, 100])
            at = int((day - late + rng.random()) * DAY)
            points.append((rng.choice([ADA, BEN]), Point(at, str(at))))
        yield day * DAY + rng.random() * DAY, points
        day += rng.choice([1, 1, 1, 2, 15, 65])


@pytest.mark.parametrize("seed", range(6))
async def test_over_months_it_is_as_if_everything_had_been_looked_at(
    history: History, seed: int
) -> None:
    model = Model()
    for now, points in _lives(random.Random(seed)):
        model.add(points)
        await history.add(points)
        assert (await thin(history, now)).forgotten == model.thin(now)
    for series in (ADA, BEN):
        assert await all_of(history, series) == model.series(series)
        assert model.series(series)


async def test_many_points_at_once(history: History) -> None:
    points = [
        (Series("players", str(number), field), at_day(-1, number))
        for number in range(250)
        for field in ("totalXP", "meleeXP", "rangedXP", *(f"f{n}" for n in range(9)))
    ]
    await history.add(points)
    assert await history.fields("players", "249") == sorted({s.field for s, _ in points})
    assert await all_of(history, points[0][0]) == [at_day(-1, 0)]
    assert await all_of(history, points[-1][0]) == [at_day(-1, 249)]


async def test_calls_at_the_same_time(history: History) -> None:
    points = every(INTERVAL, [0])
    parts = [[(ADA, point)] for point in points[:60]]
    async with asyncio.TaskGroup() as group:
        for part in parts:
            group.create_task(history.add(part))
        group.create_task(thin(history))
        group.create_task(all_of(history, ADA))
    assert await all_of(history, ADA) == points[:60]


async def test_it_survives_and_others_see_it(history: History, opened: Open) -> None:
    await history.add([(ADA, at_day(0))])
    other = opened()
    assert await all_of(other, ADA) == [at_day(0)]
    await other.aclose()


async def test_a_closed_history_says_so(opened: Open) -> None:
    history = opened()
    await history.add([(ADA, at_day(0))])
    await history.aclose()
    await history.aclose()
    with pytest.raises(StoreUnavailable):
        await history.add([(ADA, at_day(0))])
    with pytest.raises(StoreUnavailable):
        await all_of(history, ADA)


async def test_a_place_that_is_not_there(history: History, tmp_path: Path) -> None:
    away = nowhere(history, tmp_path)
    for call in (
        away.add([(ADA, at_day(0))]),
        all_of(away, ADA),
        away.latest(ADA, before=1.0),
        away.fields("players", "1"),
        thin(away),
    ):
        with pytest.raises(StoreUnavailable):
            await call
    await away.aclose()


async def test_everything_is_walked_through_place_by_place(history: History) -> None:
    await history.add([])
    assert await history.walk("", limit=3) == ([], "")
    points = [
        (Series(kind, id_, field), at_day(day, 7))
        for kind in ("players", "clans/x")
        for id_ in ("1", "10", "a b/c")
        for field in ("meleeXP", "a.b$c")
        for day in (-20, -1)
    ]
    await history.add(points)
    for limit in (1, 3, 1000):
        seen: list[tuple[Series, Point]] = []
        after, more = "", True
        while more:
            page, after = await history.walk(after, limit=limit)
            seen += page
            more = bool(after)
        assert sorted(seen, key=str) == sorted(points, key=str)

"""Parts of a history, over a real one."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.records.excerpts import Excerpt, Wanted, pages, points, steps
from app.records.history import History, Point, Series
from app.records.readings import READINGS, Reading
from tests.records.histories import DAY, TODAY, every, sqlite_history

START = TODAY * DAY
READ = READINGS["players"]


@pytest.fixture
async def history(tmp_path: Path) -> AsyncIterator[History]:
    made = sqlite_history(tmp_path)
    yield made
    await made.aclose()


def wanted(*names: str, since: int = START - DAY, until: int = START + DAY) -> Wanted:
    return Wanted("players", "1", tuple(READ[name] for name in names), since, until)


async def add(history: History, field: str, *values: tuple[int, int]) -> None:
    """Values of ``field`` so many seconds after the start."""
    series = Series("players", "1", field)
    await history.add([(series, Point(START + at, str(value))) for at, value in values])


async def test_points_of_several_fields(history: History) -> None:
    await add(history, "meleeXP", (0, 0), (600, 50), (1200, 84), (1800, 200))
    await add(history, "totalXP", (0, 10), (600, 60))
    found = await points(history, wanted("totalXP", "meleeLevel", "meleeXP", "magicXP"), limit=99)
    assert found == Excerpt(
        {
            "totalXP": [(START, "10"), (START + 600, "60")],
            "meleeLevel": [(START, "1"), (START + 1200, "2"), (START + 1800, "3")],
            "meleeXP": [
                (START, "0"),
                (START + 600, "50"),
                (START + 1200, "84"),
                (START + 1800, "200"),
            ],
            "magicXP": [],
        }
    )
    assert not found.is_empty()
    assert (await points(history, wanted("magicXP"), limit=99)).is_empty()


@pytest.mark.parametrize("limit", [1, 2, 5, 11, 300])
async def test_pages_together_are_everything(history: History, limit: int) -> None:
    rng = random.Random(limit)
    names = ("totalXP", "meleeXP", "rangedXP")
    for name in names:
        for point in every(1500, [0]):
            if rng.random() < 0.5:
                await history.add([(Series("players", "1", name), point)])
    everything = await points(history, wanted(*names), limit=10_000)
    assert everything.next is None
    together: dict[str, list[object]] = {name: [] for name in names}
    first = await points(history, wanted(*names), limit=limit)
    last = 0
    async for page in pages(history, wanted(*names), first, limit=limit):
        sizes = [len(values) for values in page.series.values()]
        assert 0 < sum(sizes) <= max(limit, len(names))
        times = [at for values in page.series.values() for at, _ in values]
        assert last <= min(times)
        last = max(times)
        for name in names:
            together[name] += page.series[name]
    assert together == everything.series


async def test_steps_carry_on_what_was_known_before(history: History) -> None:
    await add(history, "meleeXP", (-30 * DAY, 84), (5000, 174), (5300, 175))
    asked = wanted("meleeXP", "meleeLevel", "magicXP", since=START, until=START + 3 * 3600)
    found = await steps(history, asked, 3600)
    times = [START + 3600, START + 7200, START + 3 * 3600]
    assert found.series == {
        "meleeXP": list(zip(times, ["84", "175", "175"], strict=True)),
        "meleeLevel": list(zip(times, ["2", "3", "3"], strict=True)),
        "magicXP": [(at, None) for at in times],
    }
    assert found.next is None


async def test_steps_over_more_points_than_are_read_at_once(history: History) -> None:
    days = list(range(-9, 1))
    series = Series("players", "1", "totalXP")
    await history.add([(series, point) for point in every(300, days)])
    asked = Wanted("players", "1", (Reading("totalXP", "totalXP"),), START - 9 * DAY, START + DAY)
    [values] = (await steps(history, asked, DAY)).series.values()
    assert values == [
        (START + (number - 8) * DAY, str(288 * (number + 1) - 1)) for number in range(10)
    ]

"""Points are taken from what is published, and thinned while their place is awake."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from app.errors import StoreUnavailable
from app.kingdom.collections import COLLECTIONS, SKILLS, following
from app.records.change import Change, Happened, Shift
from app.records.history import History, Point, Series
from app.sync.remember import Remember
from tests.records.histories import DAY, TODAY, every, sqlite_history

FETCHED = (*COLLECTIONS.values(), following(["1"]))
NOW = float(TODAY * DAY + 60)
XP = Series("players", "1", "meleeXP")


@pytest.fixture
async def history(tmp_path: Path) -> AsyncIterator[History]:
    made = sqlite_history(tmp_path)
    yield made
    await made.aclose()


def added(kind: str, at: float = NOW, **row: Any) -> Change:
    return Change(kind, "1", 1, Happened.ADDED, at, json.dumps(row).encode())


async def all_of(history: History, series: Series) -> list[Point]:
    return await history.series(series, since=0.0, until=1e11, limit=10_000)


async def test_it_remembers_what_the_catalogue_says(history: History) -> None:
    remember = Remember(history, FETCHED, wall=lambda: NOW)
    await remember([])
    skills: dict[str, Any] = {f"{skill}XP": "5" for skill in SKILLS}
    await remember([added("players", **skills, totalXP="85", mmr=1)])
    await remember([added("items", totalQuantity="3")])
    await remember([added("token-infos", lastTradedPrice="1" + "0" * 20)])
    await remember([added("clans", mmr=5, lockedBankVaults=[{"amount": "3"}, {"amount": "4"}])])
    assert await history.fields("players", "1") == sorted([*(f"{s}XP" for s in SKILLS), "totalXP"])
    assert await history.fields("items", "1") == []
    price = Series("token-infos", "1", "lastTradedPrice")
    assert await all_of(history, price) == [(int(NOW), "1" + "0" * 20)]
    vaults = Series("clans", "1", "lockedBankVaults.amount")
    assert await all_of(history, vaults) == [(int(NOW), "7")]


async def test_who_is_followed_has_one_history(history: History) -> None:
    remember = Remember(history, FETCHED, wall=lambda: NOW)
    await remember([added("players", meleeXP="5")])
    await remember([added("followed-players", meleeXP="5")])
    await remember([added("followed-players", at=NOW + 600, meleeXP="6")])
    assert await all_of(history, XP) == [(int(NOW), "5"), (int(NOW) + 600, "6")]
    assert await history.fields("followed-players", "1") == []


async def test_what_is_told_twice_is_remembered_once(history: History) -> None:
    remember = Remember(history, FETCHED, wall=lambda: NOW)
    shift = {"meleeXP": Shift("5", "6")}
    later = Change("players", "1", 2, Happened.CHANGED, NOW + 600, b"{}", shift)
    for _ in range(2):
        await remember([added("players", meleeXP="5"), later])
    assert await all_of(history, XP) == [(int(NOW), "5"), (int(NOW) + 600, "6")]


async def test_what_is_no_number_is_said_once(history: History) -> None:
    remember = Remember(history, FETCHED, wall=lambda: NOW)
    with capture_logs() as logs:
        for _ in range(3):
            await remember([added("players", meleeXP="a lot", magicXP="3")])
    assert [(one["kind"], one["field"]) for one in logs] == [("players", "meleeXP")]
    assert await history.fields("players", "1") == ["magicXP"]


async def test_it_thins_when_a_day_has_begun(history: History) -> None:
    now = NOW
    remember = Remember(history, FETCHED, wall=lambda: now)
    await history.add([(XP, point) for point in every(600, [-5])])
    await remember([added("players", magicXP="3")])
    assert len(await all_of(history, XP)) == 24
    await history.add([(XP, point) for point in every(600, [-4])])
    await remember([added("players", magicXP="4")])
    assert len(await all_of(history, XP)) == 24 + 144, "it did so today"
    now += DAY
    await remember([added("players", at=now, magicXP="5")])
    assert len(await all_of(history, XP)) == 48


async def test_a_great_deal_is_thinned_in_parts(history: History) -> None:
    days = every(1800, [-5])[:3]
    players = [Series("players", str(number), "totalXP") for number in range(4_001)]
    await history.add([(series, point) for series in players for point in days])
    remember = Remember(history, FETCHED, wall=lambda: NOW)
    left = []
    for _ in range(4):
        await remember([added("players", magicXP="3")])
        left.append(sum([len(await all_of(history, one)) for one in players[::400]]))
    assert left[0] > left[1] > left[2] == left[3] == 2 * len(players[::400])


async def test_a_history_that_is_not_there_is_told_of(history: History) -> None:
    """So that the publisher tells it again."""
    await history.aclose()
    remember = Remember(history, FETCHED, wall=lambda: NOW)
    with pytest.raises(StoreUnavailable):
        await remember([added("players", magicXP="3")])

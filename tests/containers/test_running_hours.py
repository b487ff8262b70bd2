"""Running hours on a real engine, by a clock on the wall that is moved by hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from app.containers.engine import Engine
from app.containers.fleet import Fleet
from app.containers.idle import Keeper
from app.containers.lifecycle import State
from app.containers.policy import FleetPolicy
from app.containers.view import FleetEvent
from tests.cache.doubles import Clock
from tests.real.engine import Workshop
from tests.waiting import until

pytestmark = pytest.mark.real("docker")

OFFICE = {"awake": "08:00-18:00 Mon-Fri UTC", "idle-timeout": "100ms", "sleep": "pause"}
MONDAY = datetime(2026, 11, 23, tzinfo=UTC).timestamp()
HOUR = 3600.0


class Office:
    """A fleet whose ticker is quick, and the clock on its wall."""

    def __init__(self, workshop: Workshop) -> None:
        self.wall = Clock(MONDAY + 7 * HOUR)
        self._workshop = workshop

    @asynccontextmanager
    async def fleet(self, **changes: object) -> AsyncIterator[Fleet]:
        policy = FleetPolicy(idle_timeout=600.0, check_interval=0.05, scope=(self._workshop.case,))
        policy = replace(policy, **changes)  # type: ignore[arg-type]
        engine = Engine(self._workshop.run.host)
        async with Fleet(engine, policy, wall=self.wall) as fleet:
            yield fleet


@pytest.fixture
def office(workshop: Workshop) -> Office:
    return Office(workshop)


async def ticks(fleet: Fleet) -> None:
    """Let the monitor look a few times."""
    for _ in range(3):
        await asyncio.sleep(0.05)
        await fleet.idle_check()


async def test_it_wakes_when_they_begin_stays_up_within_them_and_sleeps_after(
    workshop: Workshop, office: Office
) -> None:
    made = workshop.container("app", labels=OFFICE)
    async with office.fleet() as fleet, fleet.subscribe() as events:
        await ticks(fleet)
        assert fleet.view("app").state is State.ASLEEP
        office.wall.now = MONDAY + 8 * HOUR
        await until(lambda: fleet.is_ready("app"))
        woken = [event async for event in first(events, 1)]
        assert [(event.state, event.cause) for event in woken] == [(State.WAKING, "running hours")]
        await ticks(fleet)
        view = fleet.view("app")
        assert (view.state, view.keeper) == (State.AWAKE, Keeper.HOURS)
        assert view.keeps_awake == "within its running hours"
        assert view.sleeps_in == pytest.approx(10 * HOUR)
        office.wall.now = MONDAY + 18 * HOUR
        await until(lambda: fleet.view("app").state is State.ASLEEP)
        await ticks(fleet)
        assert fleet.view("app").state is State.ASLEEP
    assert workshop.count("start", made) == 1


async def test_who_put_it_down_within_them_is_not_contradicted(
    workshop: Workshop, office: Office
) -> None:
    made = workshop.container("app", labels=OFFICE)
    office.wall.now = MONDAY + 9 * HOUR
    async with office.fleet() as fleet:
        await until(lambda: fleet.is_ready("app"))
        await asyncio.to_thread(workshop.api.stop, made)
        await until(lambda: fleet.view("app").state is State.ASLEEP)
        await ticks(fleet)
        assert workshop.count("start", made) == 1, "stopped by hand, it stays down"
        await fleet.ready("app", within=20)
        assert fleet.is_ready("app"), "until it is needed"
        await ticks(fleet)
        assert fleet.view("app").keeper is Keeper.HOURS
        await fleet.sleep("app", "operator 1f0c3a9b")
        await ticks(fleet)
        assert fleet.view("app").state is State.ASLEEP, "an operator's wish goes before hours"
        office.wall.now = MONDAY + 20 * HOUR
        await ticks(fleet)
        office.wall.now = MONDAY + 32 * HOUR
        await until(lambda: fleet.is_ready("app"))


async def test_what_crashes_within_them_is_woken_again(workshop: Workshop, office: Office) -> None:
    crashes = ["/bin/sh", "-c", "trap 'exit 3' HUP; while :; do /bin/sleep 0.05; done"]
    made = workshop.container("app", labels={**OFFICE, "ready": "running"}, command=crashes)
    office.wall.now = MONDAY + 9 * HOUR
    async with office.fleet() as fleet:
        await until(lambda: fleet.is_ready("app"))
        workshop.api.kill(made, "HUP")
        await until(lambda: workshop.count("start", made) == 2)
        await until(lambda: fleet.is_ready("app"))


async def test_without_starting_they_only_keep_up_what_runs(
    workshop: Workshop, office: Office
) -> None:
    made = workshop.container("app", labels=OFFICE)
    office.wall.now = MONDAY + 9 * HOUR
    async with office.fleet(auto_start=False) as fleet:
        await ticks(fleet)
        assert workshop.count("start", made) == 0
        workshop.api.start(made)
        await until(lambda: fleet.is_ready("app"))
        await ticks(fleet)
        assert fleet.view("app").state is State.AWAKE


async def test_by_hand_out_of_hours_is_adopted_and_gets_its_idle_time(
    workshop: Workshop, office: Office
) -> None:
    made = workshop.container("app", labels={**OFFICE, "veto-cpu": "50%"})
    office.wall.now = MONDAY + 20 * HOUR
    async with office.fleet() as fleet:
        workshop.api.start(made)
        await until(lambda: fleet.is_ready("app"))
        await until(lambda: fleet.view("app").state is State.ASLEEP)
    assert workshop.count("start", made) == 1


async def first(events: AsyncIterator[FleetEvent], count: int) -> AsyncIterator[FleetEvent]:
    async for event in events:
        yield event
        count -= 1
        if not count:
            return

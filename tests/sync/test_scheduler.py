"""The embedded schedule: what is due runs, one after the other, and what is wished for first."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from app.cause import caused_by, ids
from app.errors import JobBusy, StoreUnavailable
from app.records.store import JobState
from app.sync.job import HOUR, MINUTE, Job
from app.sync.runner import Progress
from app.sync.scheduler import BUSY, Running, Scheduler
from tests.sync.serving_rows import Clock
from tests.waiting import until

FIRST = Job("first", (), 10 * MINUTE, 2 * HOUR)
SECOND = Job("second", (), HOUR, 6 * HOUR)


@dataclass
class Runs:
    """Runs that are written down; ``go_on`` lets them end."""

    clock: Clock
    begun: list[str] = field(default_factory=list)
    confirmed: list[str] = field(default_factory=list)
    under_way: int = 0
    most: int = 0
    looks: int = 0
    states_: dict[str, JobState] = field(default_factory=dict)
    failing: Callable[[str], None] = lambda _: None
    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    away: bool = False
    begun_for: list[dict[str, str]] = field(default_factory=list)

    async def states(self) -> Mapping[str, JobState]:
        self.looks += 1
        if self.away:
            raise StoreUnavailable("it sleeps")
        return dict(self.states_)

    async def run(
        self, job: Job, *, progress: Progress | None = None, confirm: bool = False
    ) -> JobState:
        self.failing(job.name)
        self.begun.append(job.name)
        self.begun_for.append(ids())
        self.confirmed += [job.name] * confirm
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        began = self.clock()
        try:
            if progress is not None:
                progress("things", 7, 1)
            await self.go_on.wait()
        finally:
            self.under_way -= 1
        state = self.states_[job.name] = JobState(job.name, began, self.clock(), self.clock())
        return state


@asynccontextmanager
async def scheduling(
    runs: Runs, *jobs: Job, used: Callable[[], float] | None = None, **settings: Any
) -> AsyncIterator[Scheduler]:
    wanted: dict[str, Any] = {"look": 0.005, "jitter": 0.0, "wall": runs.clock, **settings}
    async with Scheduler(runs, jobs, last_used=used or runs.clock, **wanted) as scheduler:
        yield scheduler


async def some_looks() -> None:
    """Long enough for a scheduler that looks again and again to do what it would do."""
    for _ in range(20):
        await asyncio.sleep(0.005)


@pytest.fixture
def runs() -> Runs:
    made = Runs(Clock())
    made.go_on.set()
    return made


async def test_everything_runs_at_once_in_order_and_then_when_it_is_due(runs: Runs) -> None:
    async with scheduling(runs, FIRST, SECOND) as scheduler:
        await until(lambda: len(runs.begun) == 2)
        assert runs.begun == ["first", "second"]
        await some_looks()
        assert len(runs.begun) == 2
        assert scheduler.due(FIRST) == runs.clock.now + FIRST.every
        runs.clock.now += FIRST.every
        await until(lambda: len(runs.begun) == 3)
        runs.clock.now += SECOND.every
        await until(lambda: len(runs.begun) == 5)
        assert runs.begun[2:] == ["first", "first", "second"]
        assert dict(scheduler.states) == runs.states_
    assert runs.most == 1


async def test_a_run_belongs_to_who_wished_for_it(runs: Runs) -> None:
    async with scheduling(runs, FIRST, SECOND) as scheduler:
        await until(lambda: len(runs.begun) == 2)
        with caused_by(request_id="r-1"):
            await scheduler.trigger(SECOND)
        runs.clock.now += FIRST.every
        await until(lambda: len(runs.begun) == 4)
    assert runs.begun_for == [{}, {}, {"request_id": "r-1"}, {}]


async def test_time_goes_on_while_it_looks(runs: Runs) -> None:
    def wall() -> float:
        runs.clock.now += 1e-6
        return runs.clock.now

    async with scheduling(runs, FIRST, SECOND, wall=wall):
        await until(lambda: len(runs.begun) == 2)


async def test_what_ran_before_a_restart_is_not_run_again(runs: Runs) -> None:
    at = runs.clock.now - 60
    runs.states_ = {job.name: JobState(job.name, at, at + 1, at + 1) for job in (FIRST, SECOND)}
    async with scheduling(runs, FIRST, SECOND):
        await until(lambda: runs.looks)
        await some_looks()
    assert (runs.begun, runs.looks) == ([], 1)


async def test_what_another_process_ran_is_not_run_here(runs: Runs) -> None:
    async with scheduling(runs, FIRST) as scheduler:
        await until(lambda: len(runs.begun) == 1 and scheduler.running is None)
        runs.clock.now += FIRST.every
        at = runs.clock.now - 1
        runs.states_["first"] = JobState("first", at, at, at)
        await until(lambda: scheduler.states["first"].began_at == at)
        await some_looks()
    assert runs.begun == ["first"]


async def test_looking_wakes_no_store(runs: Runs) -> None:
    """Only when something is due is it asked what others did."""
    async with scheduling(runs, FIRST) as scheduler:
        await until(lambda: "first" in scheduler.states)
        looks = runs.looks
        await some_looks()
        assert scheduler.due(FIRST) > runs.clock.now
        assert runs.looks == looks


async def test_a_store_that_sleeps_at_first_is_left_alone_for_long(runs: Runs) -> None:
    async def asleep() -> None:
        return None

    async with scheduling(runs, FIRST, SECOND, glance=asleep):
        await some_looks()
        assert (runs.looks, runs.begun) == (0, [])
        runs.clock.now += FIRST.quiet
        await until(lambda: runs.begun == ["first", "second"])


async def test_what_it_did_before_is_learned_as_soon_as_it_is_up(runs: Runs) -> None:
    up = False
    at = runs.clock.now - 1
    runs.states_["first"] = JobState("first", at, at, at)

    async def glance() -> Mapping[str, JobState] | None:
        return dict(runs.states_) if up else None

    async with scheduling(runs, FIRST, glance=glance) as scheduler:
        await some_looks()
        up = True
        await until(lambda: "first" in scheduler.states)
        await some_looks()
        assert runs.begun == []


async def test_runs_that_ended_anywhere_are_told_once(runs: Runs) -> None:
    ended: list[tuple[str, float]] = []
    states: dict[str, JobState] = {}

    async def glance() -> Mapping[str, JobState] | None:
        return states

    def tell(state: JobState) -> None:
        ended.append((state.job, state.ended_at))

    runs.go_on.set()
    async with scheduling(runs, FIRST, glance=glance, on_ended=tell):
        await until(lambda: ended)
        first, now = runs.clock.now, runs.clock.now + 1
        states["first"] = JobState("first", now, now, now)
        await until(lambda: len(ended) == 2)
        await some_looks()
    assert ended == [("first", first), ("first", now)]


async def test_nobody_uses_it_and_it_rests(runs: Runs) -> None:
    used = runs.clock.now
    async with scheduling(runs, FIRST, used=lambda: used) as scheduler:
        await until(lambda: "first" in scheduler.states)
        runs.clock.now += HOUR
        await some_looks()
        assert len(runs.begun) == 1
        used = runs.clock.now
        await until(lambda: len(runs.begun) == 2)


async def test_one_wish_after_the_other_and_before_what_is_due(runs: Runs) -> None:
    runs.go_on.clear()
    async with scheduling(runs, FIRST, SECOND) as scheduler:
        await until(lambda: runs.under_way)
        assert scheduler.running == Running("first", "things", 7, 1)
        wish = asyncio.create_task(scheduler.trigger(FIRST))
        await some_looks()
        assert (runs.begun, runs.most) == (["first"], 1)
        runs.go_on.set()
        state = await wish
        await until(lambda: len(runs.begun) == 3)
    assert runs.begun == ["first", "first", "second"]
    assert state.job == "first"
    assert runs.most == 1


async def test_whoever_wishes_for_the_same_gets_the_same(runs: Runs) -> None:
    async with scheduling(runs) as scheduler:
        runs.go_on.clear()
        wishes = [asyncio.create_task(scheduler.trigger(FIRST)) for _ in range(3)]
        await until(lambda: runs.under_way)
        wishes.append(asyncio.create_task(scheduler.trigger(FIRST)))
        await some_looks()
        wishes[0].cancel()
        runs.go_on.set()
        states = [await wish for wish in wishes[1:]]
    assert runs.begun == ["first"]
    assert len({id(state) for state in states}) == 1


async def test_a_confirmation_is_not_lost_in_a_wish_without(runs: Runs) -> None:
    async with scheduling(runs) as scheduler:
        runs.go_on.clear()
        plain = asyncio.create_task(scheduler.trigger(FIRST))
        await until(lambda: runs.under_way)
        confirmed = asyncio.create_task(scheduler.trigger(FIRST, confirm=True))
        await some_looks()
        runs.go_on.set()
        await asyncio.gather(plain, confirmed)
    assert (runs.begun, runs.confirmed) == (["first", "first"], ["first"])


async def test_a_wish_that_waits_may_be_confirmed(runs: Runs) -> None:
    async with scheduling(runs) as scheduler:
        runs.go_on.clear()
        other = asyncio.create_task(scheduler.trigger(SECOND))
        await until(lambda: runs.under_way)
        plain = asyncio.create_task(scheduler.trigger(FIRST))
        await asyncio.sleep(0)
        confirmed = asyncio.create_task(scheduler.trigger(FIRST, confirm=True))
        await some_looks()
        runs.go_on.set()
        await asyncio.gather(plain, confirmed, other)
    assert (runs.begun, runs.confirmed) == (["second", "first"], ["first"])


async def test_a_job_that_runs_elsewhere_is_looked_at_again_later(runs: Runs) -> None:
    busy = True

    def refuse(name: str) -> None:
        if busy:
            raise JobBusy(f"{name} is running")

    runs.failing = refuse
    async with scheduling(runs, FIRST) as scheduler:
        await until(lambda: scheduler.due(FIRST) > runs.clock.now)
        with pytest.raises(JobBusy):
            await scheduler.trigger(FIRST)
        busy = False
        await some_looks()
        assert runs.begun == []
        runs.clock.now += BUSY
        await until(lambda: runs.begun == ["first"])


async def test_no_error_ends_it(runs: Runs) -> None:
    left = 3

    def fail(name: str) -> None:
        nonlocal left
        left -= 1
        if left >= 0:
            raise ZeroDivisionError(name)

    runs.failing = fail
    async with scheduling(runs, FIRST) as scheduler:
        await until(lambda: runs.begun == ["first"])
        left = 1
        with pytest.raises(ZeroDivisionError):
            await scheduler.trigger(SECOND)
        assert (await scheduler.trigger(SECOND)).job == "second"


async def test_a_store_that_sleeps_is_waited_for(runs: Runs) -> None:
    runs.away = True
    async with scheduling(runs, FIRST):
        await until(lambda: runs.looks > 2)
        assert runs.begun == []
        runs.away = False
        await until(lambda: runs.begun == ["first"])


async def test_a_clock_that_is_set_back_stops_nothing(runs: Runs) -> None:
    async with scheduling(runs, FIRST) as scheduler:
        await until(lambda: "first" in scheduler.states)
        runs.clock.now -= 365 * 24 * HOUR
        await until(lambda: len(runs.begun) == 2)
        await some_looks()
        assert len(runs.begun) == 2


async def test_closing_stops_at_once_what_runs_and_what_waits(runs: Runs) -> None:
    runs.go_on.clear()
    async with scheduling(runs, FIRST) as scheduler:
        await until(lambda: runs.under_way)
        wishes = [asyncio.create_task(scheduler.trigger(job)) for job in (FIRST, SECOND)]
        await asyncio.sleep(0)
    assert runs.under_way == 0
    for wish in wishes:
        with pytest.raises(asyncio.CancelledError):
            await wish
    with pytest.raises(RuntimeError):
        await scheduler.trigger(FIRST)
    await scheduler.aclose()


async def test_a_wish_under_way_ends_with_it(runs: Runs) -> None:
    runs.go_on.clear()
    async with scheduling(runs) as scheduler:
        wish = asyncio.create_task(scheduler.trigger(replace(FIRST, name="wished")))
        await until(lambda: runs.under_way)
    with pytest.raises(asyncio.CancelledError):
        await wish

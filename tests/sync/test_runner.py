"""Jobs: their collections one after the other, what is remembered, and what stops them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

import pytest

from app.errors import ContainerSlow, JobBusy, StoreUnavailable, UpstreamTimeout
from app.kingdom.collections import Collection
from app.kingdom.operation import Operation
from app.records.store import JobState
from app.sync.doubt import LOOKS, WHILE
from app.sync.job import HOUR, Job
from app.sync.source import Answer
from tests.sync.serving_rows import Clock, Stage, Table, numbered, stage
from tests.waiting import until

ACTIONS = Collection("actions", "actions", served=True)
QUESTS = Collection("quests", "quests", served=True)
PETS = Collection("base-pets", "base-pets")
JOB = Job("definitions", (ACTIONS, QUESTS, PETS), HOUR, 6 * HOUR)


class Tables(Table):
    """The same rows for every collection, but for those that ``failing`` says something to."""

    def __init__(self, count: int) -> None:
        super().__init__(numbered(count))
        self.failing: dict[str, Callable[[], None]] = {}

    async def ask(self, operation: Operation, values: Any, query: Any) -> Answer:
        self.failing.get(operation.name, lambda: None)()
        return await super().ask(operation, values, query)


def slow() -> None:
    raise UpstreamTimeout("it took too long")


async def state_of(made: Stage) -> JobState:
    return (await made.store.job_states())["definitions"]


async def test_a_good_run_is_remembered_and_told() -> None:
    clock = Clock()

    class Ticking(Tables):
        async def ask(self, operation: Operation, values: Any, query: Any) -> Answer:
            clock.now += 2
            return await super().ask(operation, values, query)

    made = stage(Ticking(20), clock)
    began = clock.now
    heard: list[tuple[str, int, int]] = []
    state = await made.runner.run(JOB, progress=lambda *so_far: heard.append(so_far))
    assert state == JobState(
        "definitions", began_at=began, ended_at=began + 6, good_at=began + 6, rows=60, changed=60,
        seconds=6.0,
    )  # fmt: skip
    assert await state_of(made) == state
    assert made.ended == [("definitions", "good", 6.0)]
    assert heard == [("actions", 20, 1), ("quests", 20, 1), ("base-pets", 20, 1)]
    assert made.published == ["actions", "quests", "base-pets"]
    assert set(made.proved) == {"actions", "quests"}


async def test_a_collection_that_fails_does_not_keep_the_others_old() -> None:
    tables = Tables(20)
    made = stage(tables)
    tables.failing["quests"] = slow
    made.clock.now += 5
    first = await made.runner.run(JOB)
    assert (first.failures, first.error) == (1, "quests: it took too long")
    assert (first.good_at, first.rows, first.changed) == (0.0, 0, 0)
    assert [one.collection for one in await made.store.generations()] == ["actions", "base-pets"]
    second = await made.runner.run(JOB)
    assert second.failures == 2
    tables.failing.clear()
    third = await made.runner.run(JOB)
    assert (third.failures, third.error, third.rows, third.changed) == (0, None, 60, 20)
    assert [outcome for _, outcome, _ in made.ended] == ["failed", "failed", "good"]


async def test_what_the_last_good_run_brought_stays_known() -> None:
    tables = Tables(20)
    made = stage(tables)
    good = await made.runner.run(JOB)
    tables.failing["quests"] = slow
    made.clock.now += 100
    bad = await made.runner.run(JOB)
    assert bad == replace(
        good, began_at=made.clock.now, ended_at=made.clock.now, failures=1,
        error="quests: it took too long",
    )  # fmt: skip


async def test_a_run_is_seen_from_its_begin() -> None:
    tables = Tables(20)
    made = stage(tables)
    seen: list[JobState] = []

    def look() -> None:
        seen.append(made.store._states["definitions"])

    tables.failing["actions"] = look
    await made.runner.run(JOB)
    assert [(state.began_at, state.ended_at) for state in seen] == [(made.clock.now, 0.0)]


async def test_a_suspicion_is_remembered_until_it_is_over() -> None:
    tables = Tables(100)
    made = stage(tables)
    await made.runner.run(JOB)
    tables.rows = numbered(10)
    for look in range(1, LOOKS):
        state = await made.runner.run(JOB)
        assert {name: hold["looks"] for name, hold in state.holds.items()} == {
            "actions": look, "quests": look, "base-pets": look
        }  # fmt: skip
        assert state.failures == look
        assert state.error is not None
        assert "quests: held, 10 rows where there were 100" in state.error
        assert made.ended[-1][1] == "held"
        made.clock.now += WHILE
    state = await made.runner.run(JOB)
    assert (state.holds, state.failures, state.rows, state.changed) == ({}, 0, 30, 270)


async def test_an_operator_may_confirm() -> None:
    tables = Tables(100)
    made = stage(tables)
    await made.runner.run(JOB)
    tables.rows = numbered(10)
    assert (await made.runner.run(JOB)).holds
    state = await made.runner.run(JOB, confirm=True)
    assert (state.holds, state.rows) == ({}, 30)


async def test_a_run_that_saw_nothing_neither_confirms_nor_lifts_a_suspicion() -> None:
    tables = Tables(100)
    made = stage(tables)
    await made.runner.run(JOB)
    tables.rows = numbered(10)
    held = (await made.runner.run(JOB)).holds
    tables.failing["quests"] = slow
    made.clock.now += 60
    state = await made.runner.run(JOB)
    assert state.holds["quests"] == held["quests"]
    assert state.holds["actions"]["looks"] == 2


async def test_an_error_of_ours_is_a_failure_like_others(caplog: pytest.LogCaptureFixture) -> None:
    tables = Tables(20)
    made = stage(tables)

    def broken() -> None:
        raise ZeroDivisionError("secret")

    tables.failing["quests"] = broken
    state = await made.runner.run(JOB)
    assert state.error == "quests: ZeroDivisionError: an error of ours, see the log"
    assert [one.collection for one in await made.store.generations()] == ["actions", "base-pets"]


async def test_a_run_has_an_end() -> None:
    class Stuck(Tables):
        async def ask(self, operation: Operation, values: Any, query: Any) -> Answer:
            if operation.name == "quests":
                await asyncio.Event().wait()
            return await super().ask(operation, values, query)

    made = stage(Stuck(20), deadline=0.05)
    state = await made.runner.run(JOB)
    assert state.error == "it was not through after 0.05 s"
    assert [one.collection for one in await made.store.generations()] == ["actions"]


async def test_one_run_of_a_job_at_a_time() -> None:
    go_on = asyncio.Event()

    class Waiting(Tables):
        async def ask(self, operation: Operation, values: Any, query: Any) -> Answer:
            await go_on.wait()
            return await super().ask(operation, values, query)

    made = stage(Waiting(20))
    first = asyncio.create_task(made.runner.run(JOB))
    await until(lambda: "begin" in made.store.calls)
    before = await state_of(made)
    with pytest.raises(JobBusy):
        await made.runner.run(JOB)
    assert await state_of(made) == before
    assert made.ended == []
    go_on.set()
    assert (await first).rows == 60


async def test_a_run_that_is_stopped_lets_go_and_is_seen_to_have_begun() -> None:
    class Stuck(Tables):
        async def ask(self, operation: Operation, values: Any, query: Any) -> Answer:
            await asyncio.Event().wait()
            raise AssertionError

    made = stage(Stuck(20))
    running = asyncio.create_task(made.runner.run(JOB))
    await until(lambda: "begin" in made.store.calls)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    state = await state_of(made)
    assert state.began_at > state.ended_at
    made.runner._means = replace(made.runner._means, source=Tables(20))
    assert (await made.runner.run(JOB)).rows == 60


async def test_without_a_store_nothing_is_asked_and_the_failure_is_known() -> None:
    tables = Tables(20)
    made = stage(tables)
    await made.runner.run(JOB)
    asked = len(tables.asked)
    made.store.broken = True
    for failures in (1, 2):
        state = await made.runner.run(JOB)
        assert (state.failures, state.error, state.rows) == (failures, "the store is away", 60)
    assert len(tables.asked) == asked
    with pytest.raises(StoreUnavailable):
        await made.runner.states()


async def test_a_store_that_goes_away_ends_the_run() -> None:
    tables = Tables(20)
    made = stage(tables)

    def take_away() -> None:
        made.store.broken = True

    tables.failing["quests"] = take_away
    state = await made.runner.run(JOB)
    assert state.error == "the store is away"
    assert [name for name, _, _ in tables.asked] == ["actions", "quests"]


class Door:
    """Counts who is inside; ``closed``: nobody gets in."""

    def __init__(self) -> None:
        self.inside = 0
        self.entered = 0
        self.closed = False

    async def __call__(self) -> AbstractContextManager[object]:
        if self.closed:
            raise ContainerSlow("mongodb", "mongodb is not ready")
        self.entered += 1
        return self

    def __enter__(self) -> None:
        self.inside += 1

    def __exit__(self, *_: object) -> None:
        self.inside -= 1


async def test_the_store_is_kept_awake_for_as_long_as_a_run_lasts() -> None:
    tables, door = Tables(20), Door()
    made = stage(tables, awake=door)
    inside: list[int] = []
    tables.failing["quests"] = lambda: inside.append(door.inside)
    await made.runner.run(JOB)
    assert (inside, door.inside, door.entered) == ([1], 0, 1)
    await made.runner.states()
    assert (door.inside, door.entered) == (0, 2)


async def test_a_store_that_does_not_wake_is_a_failure() -> None:
    door = Door()
    made = stage(Tables(20), awake=door)
    door.closed = True
    state = await made.runner.run(JOB)
    assert (state.failures, state.error) == (1, "mongodb is not ready")
    assert made.store.calls == []
    door.closed = False
    assert (await made.runner.run(JOB)).failures == 0


async def test_what_other_processes_ran_is_known() -> None:
    made = stage(Tables(20), awake=_open)
    await made.store.put_job_state(JobState("definitions", began_at=5.0, failures=3))
    assert (await made.runner.states())["definitions"].failures == 3
    made.clock.now += 1
    state = await made.runner.run(JOB)
    assert state.failures == 0


async def _open() -> AbstractContextManager[object]:
    return nullcontext()

"""One process does the work, the others get what it brings: over a real Redis."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from app.coordination import flights
from tests.coordination.processes import Process, Text, company
from tests.real.redis import RedisServer
from tests.waiting import until

pytestmark = pytest.mark.real("redis")
KEY = "k"


class Work:
    """Something that takes until it is told to end; counts how often it was begun."""

    def __init__(self, brings: str = "bread") -> None:
        self.brings = brings
        self.begun = 0
        self.may_end = asyncio.Event()

    async def __call__(self) -> str:
        self.begun += 1
        await self.may_end.wait()
        return self.brings


def flight(process: Process, work: Work, code: Text | None = None) -> asyncio.Task[str]:
    return asyncio.create_task(process.together.flights.fly(KEY, work, code or Text()))


async def test_one_of_many_does_the_work(redis_server: RedisServer) -> None:
    async with company(redis_server.url, 4) as processes:
        work = Work()
        tasks = [flight(process, work) for process in processes]
        await until(lambda: sum(map(follows, processes)) == 3)
        work.may_end.set()
        assert await asyncio.gather(*tasks) == ["bread"] * 4
        assert work.begun == 1


async def test_a_failure_is_handed_on_to_those_who_wait_and_to_nobody_else(
    redis_server: RedisServer,
) -> None:
    async with company(redis_server.url) as (one, other):
        failing = Work("failure")
        first = flight(one, failing)
        await until(lambda: failing.begun == 1)
        second = flight(other, failing)
        await until(lambda: follows(other))
        failing.may_end.set()
        assert await first == await second == "failure"
        again = Work()
        again.may_end.set()
        assert await flight(other, again) == "bread"
        assert (failing.begun, again.begun) == (1, 1)


async def test_what_lies_ready_is_taken_if_it_is_of_use(redis_server: RedisServer) -> None:
    async with company(redis_server.url) as (one, other):
        work = Work()
        work.may_end.set()
        await flight(one, work)
        await one.together.flights.aclose()
        assert await flight(other, work, Text(takes_old=True)) == "bread"
        assert work.begun == 1
        await other.together.flights.aclose()
        # The lead that came with it was given back.
        assert await flight(one, work) == "bread"
        assert work.begun == 2


async def test_the_death_of_the_leader_promotes_one(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flights, "LEASE", 0.4)
    monkeypatch.setattr(flights, "LOOK_AGAIN", 0.1)
    async with company(redis_server.url, 3) as (leader, *others):
        dead, alive = Work(), Work("cake")
        first = flight(leader, dead)
        await until(lambda: dead.begun == 1)
        tasks = [flight(other, alive) for other in others]
        await until(lambda: all(map(follows, others)))
        die(leader, first)
        await until(lambda: alive.begun == 1)
        alive.may_end.set()
        assert await asyncio.gather(*tasks) == ["cake", "cake"]
        assert alive.begun == 1


def follows(process: Process) -> bool:
    """Whether ``process`` waits for what another fetches."""
    return KEY in process.together.flights.following


def die(process: Process, task: asyncio.Task[str]) -> None:
    """End as SIGKILL does: nothing is given back."""
    process.together.flights._landings.begin = forget  # type: ignore[method-assign]
    task.cancel()


def forget(errand: Coroutine[Any, Any, None]) -> None:
    errand.close()


async def test_a_leader_that_is_stopped_gives_the_lead_back(redis_server: RedisServer) -> None:
    async with company(redis_server.url) as (leader, other):
        stopped, work = Work(), Work("cake")
        first = flight(leader, stopped)
        await until(lambda: stopped.begun == 1)
        second = flight(other, work)
        await until(lambda: follows(other))
        first.cancel()
        await until(lambda: work.begun == 1, within=flights.LEASE / 2)
        work.may_end.set()
        assert await second == "cake"


async def test_a_lease_is_renewed_for_as_long_as_the_work_takes(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flights, "LEASE", 0.2)
    monkeypatch.setattr(flights, "LOOK_AGAIN", 0.05)
    async with company(redis_server.url) as (leader, other):
        slow, never = Work(), Work("cake")
        first, second = flight(leader, slow), None
        await until(lambda: slow.begun == 1)
        second = flight(other, never)
        await until(lambda: follows(other))
        await asyncio.sleep(5 * flights.LEASE)
        slow.may_end.set()
        assert await first == await second == "bread"
        assert never.begun == 0


async def test_what_is_too_large_is_fetched_by_each_in_turn(redis_server: RedisServer) -> None:
    async with company(redis_server.url) as (one, other):
        large, too = Work("x" * 200), Work("x" * 200)
        first = flight(one, large)
        await until(lambda: large.begun == 1)
        second = flight(other, too)
        await until(lambda: follows(other))
        assert too.begun == 0
        large.may_end.set()
        too.may_end.set()
        assert len(await first) == len(await second) == 200
        assert (large.begun, too.begun) == (1, 1)


@pytest.mark.parametrize("harm", ["kill", "pause"])
async def test_without_redis_each_works_by_itself(redis_server: RedisServer, harm: str) -> None:
    async with company(redis_server.url) as (one, other):
        hurt: Callable[[], None] = getattr(redis_server, harm)
        hurt()
        work = Work()
        tasks = [flight(one, work), flight(other, work)]
        await until(lambda: work.begun == 2)
        work.may_end.set()
        assert await asyncio.gather(*tasks) == ["bread", "bread"]
        redis_server.start()
        await until(lambda: not one.link.is_away and not other.link.is_away, within=10)
        redis_server.resume()


async def test_redis_that_dies_while_others_wait_keeps_nobody_waiting(
    redis_server: RedisServer,
) -> None:
    async with company(redis_server.url) as (one, other):
        work, own = Work(), Work("cake")
        first = flight(one, work)
        await until(lambda: work.begun == 1)
        second = flight(other, own)
        await until(lambda: follows(other))
        redis_server.kill()
        own.may_end.set()
        assert await second == "cake"
        work.may_end.set()
        assert await first == "bread"


async def test_a_hundred_who_wait_hold_no_connection(redis_server: RedisServer) -> None:
    async with company(redis_server.url) as (one, other):
        work = Work()
        keys = [f"k{number}" for number in range(100)]
        leading = [asyncio.create_task(one.together.flights.fly(k, work, Text())) for k in keys]
        await until(lambda: work.begun == 100)
        waiting = [asyncio.create_task(other.together.flights.fly(k, work, Text())) for k in keys]
        await until(lambda: len(other.together.flights.following) == 100)
        pool = other.link.redis.connection_pool
        await until(lambda: len(pool._in_use_connections) <= 1, what="only the news holds one")
        work.may_end.set()
        await asyncio.gather(*leading, *waiting)
        assert work.begun == 100

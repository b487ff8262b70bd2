"""One run of a job at a time among processes: over a real Redis."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

import pytest
import redis.asyncio

from app.coordination import job_lease
from app.coordination.job_lease import JobLeases
from app.coordination.link import Away, OpenDoor, RedisLink, connect
from app.errors import JobBusy, JobLost
from tests.cache.doubles import SwitchedGate
from tests.real.redis import RedisServer

pytestmark = pytest.mark.real("redis")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_lease, "LEASE", 0.6)


@pytest.fixture
def realm() -> str:
    return f"test:{uuid.uuid4().hex}"


@pytest.fixture
async def process(redis_server: RedisServer, realm: str) -> AsyncIterator[Callable[[], JobLeases]]:
    """Makes the leases of one more process."""
    async with AsyncExitStack() as parts:

        def make() -> JobLeases:
            redis = connect(redis_server.url)
            parts.push_async_callback(redis.aclose)
            return JobLeases(RedisLink(redis, OpenDoor(), time.monotonic), realm=realm)

        yield make


async def test_one_process_runs_a_job_and_others_are_told(
    process: Callable[[], JobLeases],
) -> None:
    one, two = process(), process()
    async with one.lease("items"):
        for leases in (one, two):
            with pytest.raises(JobBusy, match="run by another process"):
                async with leases.lease("items"):
                    pytest.fail("it is held")
        assert await two.under_way(["items", "clans"], time.time()) == 1
        async with two.lease("clans"):
            assert await one.under_way(["items", "clans"], time.time()) == 2
    async with two.lease("items"):
        pass
    assert await one.under_way(["items", "clans"], time.time()) == 0
    assert await one.orphans() == []


async def test_of_many_that_begin_at_once_one_does(process: Callable[[], JobLeases]) -> None:
    processes = [process() for _ in range(8)]
    under_way, most = 0, 0

    async def attempt(leases: JobLeases) -> bool:
        nonlocal under_way, most
        try:
            async with leases.lease("items"):
                under_way += 1
                most = max(most, under_way)
                await asyncio.sleep(0.01)
                under_way -= 1
        except JobBusy:
            return False
        return True

    for _ in range(20):
        assert any(await asyncio.gather(*(attempt(one) for one in processes)))
    assert most == 1


async def test_a_run_that_is_left_behind_is_told_once_and_taken_over(
    process: Callable[[], JobLeases], monkeypatch: pytest.MonkeyPatch
) -> None:
    dead, heir, other = process(), process(), process()
    begun = asyncio.Event()

    async def die() -> None:
        async with dead.lease("items"):
            begun.set()
            await asyncio.Event().wait()

    # SIGKILL: nothing is renewed any more, and nothing is given back.
    async def nothing(*_: object) -> None:
        return

    monkeypatch.setattr("app.coordination.lease.Lease._stay", nothing)
    monkeypatch.setattr(dead, "_give_back", nothing)
    dying = asyncio.create_task(die())
    await begun.wait()
    assert await heir.orphans() == []
    dying.cancel()
    found: list[str] = []
    async with asyncio.timeout(20):
        while not found:
            found = await heir.orphans()
            await asyncio.sleep(0.02)
    assert found == ["items"]
    assert await other.orphans() == []
    async with heir.lease("items"):
        pass


async def test_a_run_whose_lease_is_taken_over_is_cancelled_and_told_why(
    process: Callable[[], JobLeases], realm: str
) -> None:
    leases = process()

    async def run() -> None:
        async with leases.lease("items"):
            await leases._link.redis.set(f"{realm}:job:items:lease", "somebody")
            await asyncio.sleep(20)

    with pytest.raises(JobLost, match="items was given up: somebody else has taken it"):
        await run()
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    # The other's run is not touched.
    assert await leases.under_way(["items"], time.time()) == 1


async def test_who_cancels_a_run_hears_of_its_own_cancellation(
    process: Callable[[], JobLeases],
) -> None:
    leases = process()
    begun = asyncio.Event()

    async def run() -> None:
        async with leases.lease("items"):
            begun.set()
            await asyncio.sleep(20)

    running = asyncio.create_task(run())
    await begun.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert await leases.under_way(["items"], time.time()) == 0
    assert await leases.orphans() == []


async def test_a_redis_that_comes_back_empty_takes_no_run_away(
    process: Callable[[], JobLeases], redis_server: RedisServer
) -> None:
    leases, other = process(), process()
    async with leases.lease("items"):
        redis_server.kill()
        redis_server.start()
        async with asyncio.timeout(20):
            while True:
                try:
                    if await other.under_way(["items"], time.time()):
                        break
                except Away:
                    pass
                await asyncio.sleep(0.02)
        with pytest.raises(JobBusy):
            async with other.lease("items"):
                pytest.fail("it is held")


async def test_without_redis_no_run_begins_and_one_under_way_is_given_up(
    process: Callable[[], JobLeases], redis_server: RedisServer
) -> None:
    leases = process()

    async def run() -> None:
        async with leases.lease("items"):
            redis_server.pause()
            with pytest.raises(JobBusy, match="is not known"):
                async with leases.lease("clans"):
                    pytest.fail("nobody can say whether it is free")
            await asyncio.sleep(20)

    try:
        with pytest.raises(JobLost, match="Redis could not be asked"):
            await run()
    finally:
        redis_server.resume()


async def test_a_sleeping_redis_is_woken_and_kept_up_for_as_long_as_a_job_is_held(
    process: Callable[[], JobLeases],
) -> None:
    leases, door = process(), SwitchedGate(is_open=False)
    leases._link.door = door
    with pytest.raises(JobBusy, match="Redis is asleep"):
        async with leases.lease("items"):
            pytest.fail("nobody can say whether it is free")
    assert door.wakes == 1
    door.unlock()
    async with leases.lease("items"):
        assert door.leases == 1
    assert door.leases == 0


async def test_a_message_is_sent_once_until_it_is_answered(
    process: Callable[[], JobLeases],
) -> None:
    one, two = process(), process()
    assert sorted(await asyncio.gather(one.claim("items"), two.claim("items"))) == [False, True]
    assert await two.claim("clans")
    await one.answered("items")
    assert await two.claim("items")


async def test_no_message_is_sent_about_a_job_that_is_run(
    process: Callable[[], JobLeases],
) -> None:
    one, two = process(), process()
    assert await two.claim("items")
    async with one.lease("items"):
        # Who begins has taken the message up.
        assert not await two.claim("items")
    assert await two.claim("items")


async def test_what_was_sent_and_never_taken_up_is_sent_again(
    process: Callable[[], JobLeases], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_lease, "WAITS", 0.2)
    leases = process()
    assert await leases.claim("items")
    async with asyncio.timeout(20):
        while not await leases.claim("items"):
            await asyncio.sleep(0.02)


async def test_what_waits_or_was_just_taken_is_work_under_way(
    process: Callable[[], JobLeases], redis_client: redis.asyncio.Redis, realm: str
) -> None:
    leases, now = process(), time.time()
    assert await leases.under_way(["items"], now) == 0
    await redis_client.lpush(job_lease.queue_name(realm), "a message", "another")
    taken = {"just now": now, "by one that is dead": now - job_lease.JUST_TAKEN - 1}
    await redis_client.zadd(job_lease.taken_index(realm), taken)
    assert await leases.under_way(["items"], now) == 3
    async with leases.lease("items"):
        assert await leases.under_way(["items"], now) == 4


async def test_a_queue_that_nobody_empties_does_not_grow_for_ever(
    process: Callable[[], JobLeases],
    redis_client: redis.asyncio.Redis,
    realm: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(job_lease, "MOST_WAITING", 2)
    leases, queue = process(), job_lease.queue_name(realm)
    await redis_client.lpush(queue, "a message")
    assert await leases.claim("items")
    await redis_client.lpush(queue, "another")
    assert not await leases.claim("clans")


async def test_realms_know_nothing_of_each_other(
    process: Callable[[], JobLeases], redis_server: RedisServer
) -> None:
    leases = process()
    async with connect(redis_server.url) as redis:
        other = JobLeases(RedisLink(redis, OpenDoor(), time.monotonic), realm="test:elsewhere")
        async with leases.lease("items"), other.lease("items"):
            assert await other.under_way(["items"], time.time()) == 1

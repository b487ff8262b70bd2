"""A gateway whose jobs are run by workers: what it sends, and what it keeps up for them."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from app.containers.engine import Engine
from app.containers.fleet import Fleet
from app.containers.gate import ContainerGate
from app.containers.lifecycle import State
from app.containers.policy import FleetPolicy
from app.containers.view import FleetEvent
from app.coordination.job_lease import queue_name
from app.coordination.link import Door, OpenDoor
from app.dispatch import Dispatch
from app.errors import JobBusy, JobSent
from app.sync.job import JOBS
from app.sync.scheduler import Scheduler
from tests.cache.doubles import SwitchedGate
from tests.processes import Drawbridge
from tests.real.engine import Workshop, engine_run, pytest_runtest_makereport, workshop
from tests.real.redis import RedisServer, redis_process, redis_server
from tests.waiting import until
from tests.workplace import Workplace, stopped, until_ready, workplace

__all__ = [
    "engine_run",
    "pytest_runtest_makereport",
    "redis_process",
    "redis_server",
    "workplace",
    "workshop",
]
pytestmark = pytest.mark.real("redis")
ITEMS = JOBS["items"]


def dispatch(
    workplace: Workplace, *doors: Door, broker: Door | None = None, look: float = 0.05
) -> Dispatch:
    return Dispatch(
        workplace.queue,
        workplace.leases,
        states=workplace.records.job_states,
        doors=doors,
        broker=broker or OpenDoor(),
        look=look,
    )


async def test_a_job_is_sent_and_not_sent_again_while_its_message_waits(
    workplace: Workplace,
) -> None:
    async with dispatch(workplace) as one, dispatch(workplace) as another:
        with pytest.raises(JobSent, match="items will be run by a worker"):
            await one.run(ITEMS)
        for gateway in (one, another):
            with pytest.raises(JobBusy) as raised:
                await gateway.run(ITEMS)
            assert not isinstance(raised.value, JobSent)
        assert await workplace.waiting() == 1
        assert await one.states() == {}


async def test_workers_are_kept_up_as_long_as_they_have_anything_to_do(
    workplace: Workplace,
) -> None:
    worker, store = SwitchedGate(is_open=False), SwitchedGate()
    async with dispatch(workplace, worker, store) as gateway:
        with pytest.raises(JobSent):
            await gateway.run(ITEMS)
        await until(lambda: worker.wakes and store.leases)
        worker.unlock()
        await until(lambda: worker.leases == 1)
        # A worker takes the message, and runs the job.
        async with workplace.leases.lease("items"):
            await workplace.link.redis.delete(queue_name(workplace.realm))
            await asyncio.sleep(0.3)
            assert (worker.leases, store.leases) == (1, 1)
        await until(lambda: (worker.leases, store.leases) == (0, 0))
        # It died and is woken again when it is needed again.
        await workplace.link.redis.lpush(queue_name(workplace.realm), "a message")
        await until(lambda: worker.leases == 1)
        worker.is_open = False
        wakes = worker.wakes
        await until(lambda: worker.wakes > wakes)
    assert (worker.leases, store.leases) == (0, 0)


async def test_a_run_that_was_left_behind_is_asked_for_anew(workplace: Workplace) -> None:
    begun = f"{workplace.realm}:jobs:begun"
    await workplace.link.redis.hset(begun, "items", "of one who died")
    await workplace.link.redis.hset(begun, "of-another-version", "of one who died")
    async with dispatch(workplace):
        async with asyncio.timeout(20):
            while await workplace.waiting() == 0:
                await asyncio.sleep(0.02)
        assert await workplace.link.redis.hlen(begun) == 0
    assert await workplace.waiting() == 1


async def test_what_cannot_be_sent_is_sent_when_the_broker_is_back(
    workplace: Workplace, redis_server: RedisServer
) -> None:
    worker = SwitchedGate(is_open=False)
    async with dispatch(workplace, worker) as gateway:
        redis_server.kill()
        with pytest.raises(JobSent):
            await gateway.run(ITEMS)
        # A worker will be needed: it may come up meanwhile.
        await until(lambda: worker.wakes)
        redis_server.start()
        async with asyncio.timeout(30):
            while await workplace.link.redis.llen(queue_name(workplace.realm)) == 0:
                await asyncio.sleep(0.05)


async def test_a_broker_that_sleeps_is_left_asleep_and_keeps_nobody_up(
    workplace: Workplace,
) -> None:
    door, worker = SwitchedGate(is_open=False), SwitchedGate()
    workplace.link.door = door
    async with dispatch(workplace, worker, broker=door):
        await asyncio.sleep(0.3)
        assert (door.wakes, worker.leases) == (0, 0)


async def test_while_nobody_can_say_whether_they_work_workers_stay_up(
    workplace: Workplace, redis_server: RedisServer
) -> None:
    worker = SwitchedGate()
    async with dispatch(workplace, worker) as gateway:
        with pytest.raises(JobSent):
            await gateway.run(ITEMS)
        await until(lambda: worker.leases == 1)
        redis_server.pause()
        try:
            await asyncio.sleep(1.0)
            assert worker.leases == 1
        finally:
            redis_server.resume()


@asynccontextmanager
async def machine(workplace: Workplace, fleet: Fleet, name: str) -> AsyncIterator[list[Drawbridge]]:
    """A worker's process that runs while the container ``name`` does, as the program in it would.

    An image of Python with the project in it takes longer to make than all of this.
    """
    workers: list[Drawbridge] = []
    async with AsyncExitStack() as parts:

        def follow(event: FleetEvent) -> None:
            if event.name != name:
                return
            if event.state is State.AWAKE:
                workers.append(parts.enter_context(workplace.worker()))
            elif event.state is State.STOPPING and workers:
                workers[-1].process.send_signal(signal.SIGTERM)

        fleet.watch(follow)
        yield workers


async def test_a_sleeping_worker_is_woken_by_a_due_job_and_sleeps_when_all_is_done(
    workplace: Workplace, workshop: Workshop
) -> None:
    made = workshop.container("worker", labels={"provides": "celery", "idle-timeout": "200ms"})
    policy = FleetPolicy(
        idle_timeout=0.2, startup_timeout=20.0, check_interval=0.1, scope=(workshop.case,)
    )
    began = time.time()
    async with AsyncExitStack() as parts:
        fleet = await parts.enter_async_context(Fleet(Engine(workshop.run.host), policy))
        assert fleet.view("worker").state is State.ASLEEP
        gate = ContainerGate(fleet, "celery", within=20.0)
        workers = await parts.enter_async_context(machine(workplace, fleet, "worker"))
        gateway = await parts.enter_async_context(dispatch(workplace, gate))
        # All jobs are due: nothing has ever been brought.
        schedule = Scheduler(
            gateway, list(JOBS.values()), last_used=time.time, wall=time.time, jitter=0.0
        )
        await parts.enter_async_context(schedule)
        for job in JOBS:
            state = await workplace.until_ended(job, began)
            assert state.failures == 0
            assert workshop.count("stop", made) == 0
        await until(lambda: fleet.view("worker").state is State.ASLEEP, 40)
        assert await workplace.leases.under_way(list(JOBS), time.time()) == 0
        assert (workshop.count("start", made), workshop.count("stop", made)) == (1, 1)
        [worker] = workers
        await until_ready(worker)
        assert await stopped(worker) == 0

"""Workers as operators meet them: real processes over a real Redis, killed where it hurts."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, closing, contextmanager
from dataclasses import asdict
from pathlib import Path

import httpx
import pytest

from app.answering import realm
from app.coordination.job_lease import taken_index
from app.coordination.link import OpenDoor
from app.dispatch import Dispatch
from app.job_queue import TASK, celery_app
from app.sync.errand import Errand
from tests.processes import Drawbridge, environment
from tests.real.redis import RedisServer, redis_process, redis_server
from tests.real.server import free_port
from tests.waiting import until
from tests.workplace import Workplace, open_workplace, pool_of, stopped, until_ready, workplace

__all__ = ["redis_process", "redis_server", "workplace"]
pytestmark = pytest.mark.real("redis")


async def latency(workplace: Workplace, seconds: float) -> None:
    """From now on the kingdom answers that much later."""
    async with httpx.AsyncClient() as client:
        url = f"{workplace.settings.estfor_api_url}/__sandbox__/faults"
        told = await client.put(url, json=[{"latency": seconds}])
        assert told.is_success, told.text


async def test_a_worker_runs_what_it_is_asked_for_and_ends_in_good_order(
    workplace: Workplace,
) -> None:
    with workplace.worker() as worker:
        await until_ready(worker)
        errand = await workplace.asked("items")
        state = await workplace.until_ended("items", errand.since)
        assert (state.failures, state.error) == (0, None)
        generation = await workplace.records.generation("items")
        assert generation is not None
        assert generation.rows == state.rows > 0
        await nothing_is_left(workplace)
        assert await stopped(worker) == 0, worker.log
    assert "Traceback" not in worker.log


async def nothing_is_left(workplace: Workplace) -> None:
    async with asyncio.timeout(30):
        while await workplace.leases.under_way(["items", "lotteries", "clans"], time.time()):
            await asyncio.sleep(0.05)
    taken = taken_index(workplace.realm)
    assert await workplace.link.redis.exists(taken, f"{taken}:messages") == 0
    assert await workplace.leases.orphans() == []


async def test_ten_messages_about_one_job_are_one_run(workplace: Workplace) -> None:
    """Sent past the mark that lets only one wait, as ten gateways would without it."""
    await latency(workplace, 0.05)
    sender = celery_app(workplace.settings, workplace.realm)
    errand = Errand("definitions", time.time())
    for _ in range(10):
        sender.send_task(TASK, kwargs=asdict(errand))
    sender.close()
    with workplace.worker("--concurrency", "2") as one, workplace.worker() as other:
        await until_ready(one, other)
        await workplace.until_ended("definitions", errand.since)
        await nothing_is_left(workplace)
        assert (one.log + other.log).count("a job was run") == 1
        # One run asks for 25 pages and tries each form of question once, a hundred calls in all.
        assert await workplace.calls() < 2 * 100


@pytest.mark.parametrize("whole", [True, False], ids=["the worker", "a process of its pool"])
async def test_a_job_whose_worker_is_killed_is_taken_over_and_finished(
    workplace: Workplace, whole: bool
) -> None:
    await latency(workplace, 0.1)
    async with AsyncExitStack() as parts:
        doomed = parts.enter_context(workplace.worker())
        await until_ready(doomed)
        errand = await workplace.asked("lotteries")
        await workplace.until_begun("lotteries")
        calls = await workplace.calls()
        async with asyncio.timeout(20):
            while await workplace.calls() < calls + 5:
                await asyncio.sleep(0.02)
        heir = doomed
        if whole:
            doomed.kill()
            heir = parts.enter_context(workplace.worker())
            await until_ready(heir)
        else:
            [process] = pool_of(doomed)
            os.kill(process, signal.SIGKILL)
        # Nothing half-done is seen, and nobody says that it ended.
        assert await workplace.records.generation("raffle-entries") is None
        state = await workplace.state("lotteries")
        assert state.ended_at < state.began_at
        await latency(workplace, 0.0)
        await parts.enter_async_context(gateway(workplace))
        state = await workplace.until_ended("lotteries", errand.since)
        assert (state.failures, state.error) == (0, None)
        await until(lambda: heir.log.count("a job was run") == 1)
        generation = await workplace.records.generation("raffle-entries")
        assert generation is not None
        assert generation.rows > 1_000


def gateway(workplace: Workplace) -> Dispatch:
    """What a gateway does about runs that were left behind."""
    return Dispatch(
        workplace.queue,
        workplace.leases,
        states=workplace.records.job_states,
        doors=(),
        broker=OpenDoor(),
    )


async def test_a_worker_that_is_stopped_gives_its_job_back(workplace: Workplace) -> None:
    await latency(workplace, 1.0)
    with workplace.worker() as leaving:
        await until_ready(leaving)
        errand = await workplace.asked("lotteries")
        await workplace.until_begun("lotteries")
        assert await stopped(leaving) == 0, leaving.log
    assert "a job is given back" in leaving.log
    assert "Traceback" not in leaving.log
    assert await workplace.waiting() == 1
    assert await workplace.leases.orphans() == []
    assert await workplace.records.generation("raffle-entries") is None
    await latency(workplace, 0.0)
    with workplace.worker() as heir:
        state = await workplace.until_ended("lotteries", errand.since)
        assert state.failures == 0
        await nothing_is_left(workplace)
        assert await stopped(heir, signal.SIGINT) == 0, heir.log


async def test_a_job_that_ends_soon_may_end_before_its_worker(workplace: Workplace) -> None:
    await latency(workplace, 1.0)
    with workplace.worker() as leaving:
        await until_ready(leaving)
        errand = await workplace.asked("core-data")
        await workplace.until_begun("core-data")
        assert await stopped(leaving) == 0, leaving.log
    state = await workplace.until_ended("core-data", errand.since, within=5)
    assert state.failures == 0
    assert await workplace.waiting() == 0


async def test_a_redis_that_restarts_is_found_again(
    workplace: Workplace, redis_server: RedisServer
) -> None:
    with workplace.worker() as worker:
        await until_ready(worker)
        redis_server.kill()
        redis_server.start()
        errand = await workplace.asked("items")
        state = await workplace.until_ended("items", errand.since)
        assert state.failures == 0


async def test_no_password_is_logged_when_the_broker_cannot_be_had(tmp_path: Path) -> None:
    broker = f"redis://:hush-hush@127.0.0.1:{free_port()}/0"
    async with open_workplace(tmp_path, broker) as workplace:
        with workplace.worker() as worker:
            await until(lambda: "redis://:**@127.0.0.1" in worker.log, 40, "a word about it")
        assert "hush-hush" not in worker.log


@contextmanager
def standin_worker(workplace: Workplace, how: str) -> Iterator[Drawbridge]:
    """A worker of ``tests/standin_worker.py``, which may not be ready yet."""
    folder = workplace.settings.data_dir.parent
    with (folder / "worker.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.standin_worker", how],
            env=environment(folder, workplace.environment),
            cwd=folder,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    worker = Drawbridge(process, folder / "worker.log")
    try:
        yield worker
    finally:
        if process.poll() is None:
            worker.kill()


async def test_a_job_that_hangs_is_killed_and_the_worker_goes_on(workplace: Workplace) -> None:
    folder = workplace.settings.data_dir
    with (
        standin_worker(workplace, "hang") as worker,
        closing(celery_app(workplace.settings, workplace.realm)) as sender,
    ):
        await until_ready(worker)
        for _ in range(2):
            sender.send_task(TASK, kwargs=asdict(Errand("items", time.time())))
        await until((folder / "items").exists, 40)
        await until(lambda: (folder / "items").read_text() == "done", 40, "the second message")
        assert "Hard time limit" in worker.log
        await nothing_is_left(workplace)
        assert await stopped(worker) == 0


async def test_a_worker_that_is_stopped_while_it_tells_of_a_job_ends_too(
    workplace: Workplace,
) -> None:
    with standin_worker(workplace, "report") as worker:
        await until_ready(worker)
        await workplace.asked("items")
        await until((workplace.settings.data_dir / "reporting").exists, 40)
        assert await stopped(worker) == 0, worker.log
    assert await workplace.waiting() == 0


async def test_a_message_that_makes_no_sense_is_refused_for_good(workplace: Workplace) -> None:
    sender = celery_app(workplace.settings, workplace.realm)
    sender.send_task(TASK, kwargs={"job": "nothing-of-ours", "since": 0.0})
    sender.send_task(TASK, kwargs={"task": 1})
    sender.close()
    with workplace.worker() as worker:
        await until(lambda: worker.log.count("a message was refused") == 2, 40)
        await nothing_is_left(workplace)
        errand = await workplace.asked("core-data")
        await workplace.until_ended("core-data", errand.since)


async def test_what_became_of_it_is_kept_where_celery_looks_if_wanted(
    tmp_path: Path, redis_server: RedisServer
) -> None:
    async with open_workplace(
        tmp_path, redis_server.url, CELERY_RESULT_BACKEND=redis_server.url
    ) as workplace:
        app = celery_app(workplace.settings, realm(workplace.settings))
        with workplace.worker():
            kwargs = asdict(Errand("core-data", time.time()))
            result = app.send_task(TASK, kwargs=kwargs)
            outcome = await asyncio.to_thread(result.get, timeout=40)
        assert outcome == {"job": "core-data", "outcome": "ran"}
        app.close()

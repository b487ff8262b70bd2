"""Real workers for tests: a Redis, a kingdom, the records that they bring, and their processes."""

from __future__ import annotations

import asyncio
import signal
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from app.answering import realm
from app.config import Settings, load_settings
from app.coordination.job_lease import JobLeases, queue_name
from app.coordination.link import OpenDoor, RedisLink, connect
from app.errors import QueueError
from app.job_queue import JobQueue, celery_app
from app.records.schema import MIGRATIONS
from app.records.sqlite import SqliteRecords
from app.records.store import JobState, RecordStore
from app.sandbox.app import create_sandbox
from app.sandbox.options import SandboxOptions
from app.serving import address, beside, bind
from app.storage.sqlite_file import SqliteFile
from app.sync.errand import Errand
from tests.processes import Drawbridge, drawbridge
from tests.real.redis import RedisServer
from tests.waiting import until


@dataclass
class Workplace:
    """Everything that workers share, seen from outside."""

    folder: Path
    environment: dict[str, str]
    settings: Settings
    link: RedisLink
    leases: JobLeases
    queue: JobQueue
    records: RecordStore

    @property
    def realm(self) -> str:
        return realm(self.settings)

    @contextmanager
    def worker(self, *arguments: str) -> Iterator[Drawbridge]:
        """A worker's process, which may not be ready yet."""
        folder = self.folder / uuid.uuid4().hex[:6]
        with drawbridge(folder, "worker", *arguments, settings=self.environment) as process:
            yield process

    @contextmanager
    def beat(self) -> Iterator[Drawbridge]:
        """Beat's process."""
        with drawbridge(self.folder / "beat", "beat", settings=self.environment) as process:
            yield process

    async def state(self, job: str) -> JobState:
        """What is remembered of ``job``."""
        return (await self.records.job_states()).get(job, JobState(job))

    async def until_begun(self, job: str) -> JobState:
        """Return when a run of ``job`` has begun and not ended."""
        async with asyncio.timeout(40):
            while True:
                state = await self.state(job)
                if state.began_at > state.ended_at:
                    return state
                await asyncio.sleep(0.02)

    async def until_ended(self, job: str, since: float, within: float = 60.0) -> JobState:
        """The state after a run of ``job`` that began at ``since`` or later."""
        async with asyncio.timeout(within):
            while True:
                state = await self.state(job)
                if since <= state.began_at <= state.ended_at:
                    return state
                await asyncio.sleep(0.02)

    async def asked(self, job: str) -> Errand:
        """Send a wish for a run of ``job``."""
        async with asyncio.timeout(40):
            while True:
                errand = Errand(job, time.time())
                try:
                    assert await self.queue.send(errand)
                except QueueError:  # Busy machines are slow to answer.
                    await asyncio.sleep(0.1)
                else:
                    return errand

    async def waiting(self) -> int:
        """Messages in the queue."""
        return int(await self.link.redis.llen(queue_name(self.realm)))

    async def calls(self) -> int:
        """What the kingdom was asked so far."""
        async with httpx.AsyncClient() as client:
            told = await client.get(f"{self.settings.estfor_api_url}/__sandbox__")
        return int(told.json()["asked"])


async def until_ready(*workers: Drawbridge) -> None:
    """Return when they take messages."""
    for worker in workers:
        await until(lambda one=worker: "worker is ready" in one.log, 40, "a worker")  # type: ignore[misc]


async def stopped(worker: Drawbridge, by: signal.Signals = signal.SIGTERM) -> int:
    """End it by a signal, while the kingdom goes on answering; its exit code."""
    return await asyncio.to_thread(worker.stop, by)


def pool_of(worker: Drawbridge) -> list[int]:
    """The processes of its pool."""
    pid = worker.process.pid
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@asynccontextmanager
async def open_workplace(folder: Path, broker: str, **settings: str) -> AsyncIterator[Workplace]:
    """A kingdom of its own, so that its realm is no other test's; ``settings`` by their names."""
    listening = bind("127.0.0.1", 0)
    async with beside(listening, create_sandbox(SandboxOptions(players=200))):
        environment = {
            "ESTFOR_API_URL": address(listening),
            "CELERY_BROKER_URL": broker,
            "DATA_DIR": str(folder / "data"),
            "SYNC_PACE": "0s",
            "LOG_FORMAT": "json",
            **settings,
        }
        values = load_settings(**{name.lower(): value for name, value in environment.items()})
        async with connect(broker) as redis:
            link = RedisLink(redis, OpenDoor(), time.monotonic)
            leases = JobLeases(link, realm=realm(values))
            queue = JobQueue(celery_app(values, realm(values)), leases)
            records = SqliteRecords(
                SqliteFile(values.data_dir / "records.sqlite3", MIGRATIONS), wall=time.time
            )
            try:
                yield Workplace(folder, environment, values, link, leases, queue, records)
            finally:
                await records.aclose()
                await queue.aclose()


@pytest.fixture
async def workplace(redis_server: RedisServer, tmp_path: Path) -> AsyncIterator[Workplace]:
    """One at the Redis of the session."""
    async with open_workplace(tmp_path, redis_server.url) as made:
        yield made

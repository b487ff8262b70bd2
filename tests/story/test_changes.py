"""A stream of changes from a Redis that sleeps: woken for who asks, and not for who is silent."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from app.config import load_settings
from app.containers.fleet import Fleet
from app.containers.gate import ContainerGate
from app.containers.lifecycle import State
from app.coordination.change_stream import RedisChangeLog
from app.coordination.link import RedisLink, connect
from app.main import create_app
from app.records.change import ChangeLog
from app.runtime import open_runtime
from app.serving import address, beside, bind
from tests.containers.fleets import Opened, counted, fleet_of  # noqa: F401 (fixtures)
from tests.real.engine import Workshop
from tests.real.server import free_port
from tests.records.told import batch
from tests.routers.test_changes import NOBODY, Reader
from tests.waiting import until

pytestmark = pytest.mark.real("docker")

IDLE = 0.6
REDIS = ["/bin/redis-server", "--appendonly", "yes", "--protected-mode", "no", "--dir", "/tmp"]  # noqa: S108 (the container's own)


@asynccontextmanager
async def gateway(
    folder: Path, fleet: Fleet, port: int
) -> AsyncIterator[tuple[httpx.AsyncClient, ChangeLog]]:
    """A gateway whose log is in the fleet's Redis, and the log."""
    settings = load_settings(
        estfor_api_url=NOBODY,
        data_dir=folder,
        mongodb_uri=None,
        redis_url=None,
        docker_host=f"unix://{folder}/no-engine.sock",
        container_silent_timeout=IDLE,
        _env_file=None,
    )
    async with open_runtime(settings) as plain, connect(f"redis://127.0.0.1:{port}/0") as redis:
        gate = ContainerGate(fleet, "redis", within=20)
        log = RedisChangeLog(RedisLink(redis, gate, time.monotonic), "test:changes")
        archive = replace(plain.archive, changes=log)
        runtime = replace(plain, archive=archive, changes_gate=gate)
        listening = bind("127.0.0.1", 0)
        async with (
            beside(listening, create_app(runtime), on_stop=runtime.stopping.set),
            httpx.AsyncClient(base_url=address(listening), timeout=30) as client,
        ):
            yield client, log


async def test_a_silent_stream_lets_redis_sleep_and_goes_on_when_it_wakes(
    tmp_path: Path,
    workshop: Workshop,
    fleet_of: Opened,  # noqa: F811 (the fixture)
) -> None:
    port = free_port()
    made = workshop.container(
        "db",
        command=REDIS,
        labels={"provides": "redis", "idle-timeout": f"{IDLE}s"},
        port_bindings={6379: ("127.0.0.1", port)},
    )
    async with (
        fleet_of(check_interval=0.05) as fleet,
        gateway(tmp_path, fleet, port) as (client, log),
    ):
        assert fleet.view("db").state is not State.AWAKE
        assert (await client.get("/v1/changes")).json()["changes"] == []
        assert workshop.state(made) == "running"
        reader = Reader(client, after="oldest")
        async with reader.reading():
            for draft in range(1, 12):
                await log.append(batch(2, draft=draft))
                await asyncio.sleep(IDLE / 5)
            assert workshop.count("die", made) == 0, "while changes come it is in use"
            await until(lambda: fleet.view("db").state is State.ASLEEP)
            assert not reader.task.done()
            assert len(reader.heard) == 22
            await log.append(batch(2, draft=20))
            await until(lambda: len(reader.heard) == 24)
        assert workshop.count("start", made) == 2

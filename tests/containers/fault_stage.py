"""What the tests of the fault table share: a gateway as a process, and ways to use a container."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import httpx
import pytest

from app.containers.fleet import Fleet
from tests.containers.event_log import EventLog, Uses
from tests.containers.socket_proxy import SocketProxy
from tests.gateways import gateway_on
from tests.processes import Drawbridge, drawbridge
from tests.real.engine import Workshop
from tests.real.require import find_binary, unavailable
from tests.real.server import free_port

BUDGET = 60.0
"""Seconds after which a request that has not ended hangs."""
NOBODY = "http://127.0.0.1:9"


@pytest.fixture
def log(workshop: Workshop) -> Iterator[EventLog]:
    """The engine's own record of this test."""
    with EventLog(workshop.run, workshop.case) as log:
        yield log


@pytest.fixture
async def proxy(workshop: Workshop, tmp_path: Path) -> AsyncIterator[SocketProxy]:
    """The engine behind a socket that can be cut."""
    cuttable = SocketProxy(tmp_path / "engine.sock", engine_socket(workshop))
    await cuttable.restore()
    yield cuttable
    await cuttable.cut()


def engine_socket(workshop: Workshop) -> Path:
    """Where the engine listens."""
    scheme, _, path = workshop.run.host.partition("://")
    if scheme != "unix":
        unavailable("docker", "the engine is not behind a socket that could be cut")
    return Path(path)


@contextmanager
def gateway(folder: Path, workshop: Workshop, **settings: str) -> Iterator[Drawbridge]:
    """``drawbridge serve`` as a process, ready, for the containers of this test."""
    wanted = {
        "ESTFOR_API_URL": NOBODY,
        "DOCKER_HOST": workshop.run.host,
        "CONTAINER_SCOPE": workshop.case,
        "CONTAINER_CHECK_INTERVAL": "100ms",
        "RATE_LIMIT": "1000000/minute",
        **settings,
    }
    with drawbridge(folder, "serve", "--port", "0", settings=wanted) as running:
        running.url()
        yield running


@asynccontextmanager
async def gateway_here(
    folder: Path, workshop: Workshop, **settings: object
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a gateway in this process, for the containers of this test."""
    wanted = {
        "docker_host": workshop.run.host,
        "container_scope": (workshop.case,),
        "container_check_interval": 0.1,
        **settings,
    }
    async with gateway_on(NOBODY, folder, **wanted) as client:
        client.timeout = httpx.Timeout(BUDGET)
        yield client


async def wake(client: httpx.AsyncClient, name: str) -> httpx.Response:
    """Ask for a container, as an operator does; a problem is checked for its shape."""
    answer = await client.post(f"/automation/containers/{name}/wake")
    if answer.status_code != 200:
        assert answer.headers["content-type"] == "application/problem+json"
        assert int(answer.headers["retry-after"]) >= 1
        assert answer.json()["detail"]
    return answer


async def use(fleet: Fleet, workshop: Workshop, uses: Uses, name: str, container_id: str) -> None:
    """One request's use of a Redis container: wait at the gate, then talk to it."""
    with uses.use(container_id) as one, fleet.lease(name):
        await fleet.ready(name, within=BUDGET)
        one.through_at = time.time()
        await ping(workshop, container_id)


async def ping(workshop: Workshop, container_id: str) -> None:
    """Talk to the Redis in it, at its own address; fails unless it answers."""
    details = await asyncio.to_thread(workshop.api.inspect_container, container_id)
    address = details["NetworkSettings"]["IPAddress"]
    async with asyncio.timeout(BUDGET):
        reader, writer = await asyncio.open_connection(address, 6379)
        writer.write(b"PING\r\n")
        assert await reader.readline() == b"+PONG\r\n"
        writer.close()
        await writer.wait_closed()


class Database:
    """A container that speaks MongoDB's protocol, and what a gateway needs to know of it."""

    def __init__(self, workshop: Workshop, **labels: str) -> None:
        server = find_binary("ferretdb")
        if server is None:
            unavailable("mongodb", "there is no ferretdb to make an image of")
        port = free_port()
        files = {"/bin/ferretdb": server, "/bin/sh": "/bin/sh", "/bin/sleep": "/bin/sleep"}
        self.id = workshop.container(
            "store",
            image=workshop.run.image_from_files("ferretdb", files, expose=[27017]),
            command=[
                "/bin/ferretdb",
                "--handler=sqlite",
                "--sqlite-url=file:/tmp/",
                "--listen-addr=:27017",
                "--state-dir=/tmp",
                "--telemetry=disable",
                "--debug-addr=-",
                "--log-level=WARN",
            ],
            labels={"provides": "mongodb", **labels},
            port_bindings={27017: ("127.0.0.1", port)},
        )
        self.settings = {
            "MONGODB_URI": f"mongodb://127.0.0.1:{port}",
            "MONGODB_DATABASE": "kingdom",
            "MONGODB_TIMEOUT": "30s",
        }

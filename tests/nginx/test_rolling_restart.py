"""Gateways that are replaced one after the other, under load: nobody notices, nothing is lost."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pytest
import redis.asyncio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.answering import realm
from app.config import load_settings
from app.coordination.job_lease import JobLeases
from app.coordination.link import OpenDoor, RedisLink, connect
from app.sandbox.app import create_sandbox
from app.sandbox.faults import Fault
from app.sandbox.options import SandboxOptions
from app.serving import address, beside, bind
from tests.nginx.origins import serving
from tests.processes import Drawbridge, drawbridge
from tests.real.nginx import Front, OpenFront
from tests.real.redis import RedisServer
from tests.real.server import free_port
from tests.waiting import until

pytestmark = [pytest.mark.real("nginx"), pytest.mark.real("redis"), pytest.mark.timeout(300)]

ASKERS = 8
ROUNDS = 2


async def echo(request: Request) -> Response:
    """Says what it was asked, so that an answer which belongs to another question is noticed."""
    rows = [{"id": request.query_params.get("name", "")}]
    return Response(orjson.dumps({"rows": rows}), media_type="application/json; charset=utf-8")


@dataclass
class Load:
    """Questions without an end; some were asked before, most are new."""

    nginx: Front
    over: asyncio.Event = field(default_factory=asyncio.Event)
    asked: set[str] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)
    answered: int = 0

    async def __call__(self, asker: int) -> None:
        number = 0
        while not self.over.is_set():
            number += 1
            await self._ask(f"{asker}-{number if number % 3 else number - 1}")

    async def _ask(self, name: str) -> None:
        answer = await self.nginx.client.get(f"/players?name={name}")
        self.asked.add(f"GET /players?name={name}")
        if answer.status_code != 200 or answer.json() != {"rows": [{"id": name}]}:
            self.wrong.append(f"{answer.status_code} {name}: {answer.text}")
        self.answered += 1

    async def more(self, number: int) -> None:
        """Return when so many more were answered."""
        wanted = self.answered + number
        await until(lambda: self.answered >= wanted, 90.0, what=f"{number} more answers")

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        asking = [asyncio.create_task(self(asker)) for asker in range(ASKERS)]
        try:
            yield
        finally:
            self.over.set()
            await asyncio.gather(*asking)


@dataclass
class Gateways:
    """The gateways behind the nginx: each with a port and a folder of its own, and one Redis."""

    folder: Path
    settings: dict[str, str]
    there: redis.asyncio.Redis
    stack: ExitStack
    ports: dict[str, int] = field(default_factory=lambda: {"one": free_port(), "two": free_port()})
    running: dict[str, Drawbridge] = field(default_factory=dict)
    known_as: dict[str, bytes] = field(default_factory=dict)
    """The name of each among those who share answers."""

    @property
    def realm(self) -> str:
        url = self.settings["ESTFOR_API_URL"]
        return realm(load_settings(estfor_api_url=url, _env_file=None))

    async def members(self) -> set[bytes]:
        """Who counts as alive."""
        found: Any = await self.there.zrange(f"{self.realm}:processes", 0, -1)
        return set(found)

    async def start(self, name: str) -> None:
        arguments = ("serve", "--port", str(self.ports[name]))
        opened = drawbridge(self.folder / name, *arguments, settings=self.settings)
        self.running[name] = self.stack.enter_context(opened)
        # In a thread: the upstream and those who ask live in this one.
        await asyncio.to_thread(self.running[name].url)
        async with asyncio.timeout(20):
            while not (new := await self.members() - set(self.known_as.values())):
                await asyncio.sleep(0.02)
        [self.known_as[name]] = new

    async def stop(self, name: str) -> None:
        process = self.running.pop(name)
        assert await asyncio.to_thread(process.stop) == 0, process.log
        assert "were not written" not in process.log
        assert self.known_as[name] not in await self.members(), "it has left at once"

    def kept(self) -> set[str]:
        """The questions whose answers are in one of the stores."""
        found: set[str] = set()
        for name in self.ports:
            path = self.folder / name / "data" / "responses.sqlite3"
            with closing(sqlite3.connect(path)) as store:
                found |= {target for (target,) in store.execute("SELECT target FROM responses")}
        return found


def settings_of(upstream: str, redis_server: RedisServer, **more: str) -> dict[str, str]:
    return {
        "ESTFOR_API_URL": upstream,
        "REDIS_URL": redis_server.url,
        # A container of somebody else's that says it is a Redis is none of theirs.
        "DOCKER_HOST": "unix:///nowhere/no-engine.sock",
        "RATE_LIMIT": "off",
        "LOG_LEVEL": "WARNING",
        **more,
    }


async def test_a_rolling_restart_fails_no_request_and_loses_nothing(
    front: OpenFront, tmp_path: Path, redis_server: RedisServer
) -> None:
    app = Starlette(routes=[Route("/{path:path}", echo)])
    async with serving(app) as upstream, connect(redis_server.url) as there:
        settings = settings_of(f"http://{upstream}", redis_server)
        with ExitStack() as stack:
            gateways = Gateways(tmp_path, settings, there, stack)
            for name in gateways.ports:
                await gateways.start(name)
            places = [f"127.0.0.1:{port}" for port in gateways.ports.values()]
            limits = {"REQUESTS_PER_SECOND": "100000", "REQUESTS_BURST": "100000"}
            async with front(*places, **limits) as nginx:
                load = Load(nginx)
                async with load.running():
                    for name in list(gateways.ports) * ROUNDS:
                        await load.more(80)
                        await gateways.stop(name)
                        await load.more(80)
                        await gateways.start(name)
                    await load.more(80)
                assert load.wrong == []
                used = {str(line["gateway"]).split(", ")[-1] for line in nginx.lines()}
                assert used >= set(places)
            for name in gateways.ports:
                await gateways.stop(name)
            assert load.asked - gateways.kept() == set()


async def test_a_gateway_that_is_stopped_gives_its_job_to_another_at_once(
    tmp_path: Path, redis_server: RedisServer
) -> None:
    """It would be taken over after ten seconds if it had just died."""
    listening = bind("127.0.0.1", 0)
    slow = SandboxOptions(players=50, faults=(Fault(latency=0.3),))
    async with beside(listening, create_sandbox(slow)), connect(redis_server.url) as there:
        more = {"SYNC_ENABLED": "true", "SYNC_PACE": "0s", "LOG_LEVEL": "INFO"}
        settings = settings_of(address(listening), redis_server, **more)
        with ExitStack() as stack:
            gateways = Gateways(tmp_path, settings, there, stack)
            ours = gateways.realm
            leases = JobLeases(RedisLink(there, OpenDoor(), time.monotonic), realm=ours)
            await gateways.start("one")
            async with asyncio.timeout(60):
                while not await there.keys(f"{ours}:job:*:lease"):
                    await asyncio.sleep(0.05)
            await gateways.stop("one")
            left: Any = await there.keys(f"{ours}*")
            changes = {f"{ours}:changes".encode(), f"{ours}:changes:told".encode()}
            assert set(left) <= changes, "only the log of changes stays"
            async with leases.lease("definitions"):
                assert await there.keys(f"{ours}:job:*:lease")

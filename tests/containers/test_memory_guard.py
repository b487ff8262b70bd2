"""A host that runs short of memory, by its own word; containers and engine are real."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from app.containers.engine import Engine
from app.containers.fleet import Fleet
from app.containers.lifecycle import State
from app.containers.memory_guard import MemoryGuard
from app.containers.policy import FleetPolicy
from app.containers.view import FleetEvent
from tests.containers.fleets import Counted
from tests.real.engine import Workshop
from tests.waiting import until

pytestmark = pytest.mark.real("docker")

RESERVE = 1_000_000_000


@pytest.fixture
def meminfo(tmp_path: Path) -> Path:
    path = tmp_path / "meminfo"
    path.write_text("MemTotal:  8000000 kB\nMemAvailable:  100000 kB\n")
    return path


@asynccontextmanager
async def idle_fleet(
    workshop: Workshop, counted: Counted, *names: str
) -> AsyncIterator[tuple[Fleet, list[float]]]:
    """A fleet in which these are awake; what is added to the list makes its clock go on."""
    ahead = [0.0]
    policy = FleetPolicy(
        idle_timeout=600.0, low_idle_timeout=600.0, check_interval=600.0, scope=(workshop.case,)
    )
    fleet = Fleet(
        Engine(workshop.run.host),
        policy,
        clock=lambda: time.monotonic() + sum(ahead),
        observer=counted,
    )
    async with fleet:
        await asyncio.gather(*(fleet.ready(name, within=20) for name in names))
        yield fleet, ahead


async def test_the_least_important_goes_first_and_who_is_in_use_never(
    workshop: Workshop, counted: Counted, meminfo: Path
) -> None:
    low = workshop.container("low", labels={"priority": "low"})
    normal = workshop.container("normal")
    busy = workshop.container("busy", labels={"priority": "low"})
    critical = workshop.container("critical", labels={"priority": "critical"})
    names = ("low", "normal", "busy", "critical")
    async with idle_fleet(workshop, counted, *names) as (fleet, ahead):
        guard = MemoryGuard(fleet, RESERVE, every=600.0, meminfo=meminfo)
        assert await guard.look() is None, "all were used just now"
        with fleet.lease("busy"):
            ahead.append(60.0)
            assert await guard.look() == "low"
            assert [workshop.state(one) for one in (low, normal)] == ["exited", "running"]
            assert await guard.look() == "normal"
            assert await guard.look() is None
        assert (workshop.state(busy), workshop.state(critical)) == ("running", "running")
        assert workshop.count("kill", busy) == 0
    assert counted.sleeps == [("low", "memory"), ("normal", "memory")]
    downs = [container for action, container in workshop.events("die") if action == "die"]
    assert downs == [low, normal]


async def test_a_veto_holds_against_it_and_the_next_one_goes(
    workshop: Workshop, counted: Counted, meminfo: Path
) -> None:
    async def busy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"HTTP/1.1 409 Conflict\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(busy, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    veto = {"priority": "low", "veto-url": f"http://127.0.0.1:{port}/busy"}
    working = workshop.container("working", labels=veto)
    workshop.container("idle", labels={"priority": "high"})
    async with server, idle_fleet(workshop, counted, "working", "idle") as (fleet, ahead):
        ahead.append(60.0)
        assert await MemoryGuard(fleet, RESERVE, every=600.0, meminfo=meminfo).look() == "idle"
    assert workshop.count("kill", working) == 0


async def test_it_looks_by_itself_until_there_is_enough_and_says_so_once(
    workshop: Workshop, counted: Counted, meminfo: Path
) -> None:
    def enough_from_now_on(event: FleetEvent) -> None:
        if event.state is State.ASLEEP:
            meminfo.write_text("MemAvailable: 9000000 kB\n")

    first = workshop.container("first", labels={"priority": "low"})
    second = workshop.container("second")
    async with idle_fleet(workshop, counted, "first", "second") as (fleet, ahead):
        enough = MemoryGuard(fleet, 1, every=0.01, meminfo=meminfo)
        async with enough:
            ahead.append(60.0)
            await asyncio.sleep(0.05)
        assert counted.sleeps == []
        fleet.watch(enough_from_now_on)
        with capture_logs() as lines:
            async with MemoryGuard(fleet, RESERVE, every=0.05, meminfo=meminfo):
                is_enough = "memory is no longer short"
                await until(lambda: any(line["event"] == is_enough for line in lines))
    assert (workshop.state(first), workshop.state(second)) == ("exited", "running")
    told = [line["event"] for line in lines if "memory" in line["event"]]
    assert told == ["memory is short", "memory is no longer short"]


async def test_a_figure_that_cannot_be_read_stops_nobody(
    workshop: Workshop, counted: Counted
) -> None:
    workshop.container("low", labels={"priority": "low"})
    no_such_figure = Path("/proc/uptime")
    async with idle_fleet(workshop, counted, "low") as (fleet, ahead):
        ahead.append(60.0)
        assert await MemoryGuard(fleet, RESERVE, every=600.0, meminfo=no_such_figure).look() is None

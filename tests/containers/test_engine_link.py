"""The engine goes away and comes back: through a proxy of our own, so that nobody else notices."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from app.containers.engine import Engine
from app.containers.fleet import Fleet
from app.containers.lifecycle import State
from app.containers.policy import FleetPolicy
from app.errors import AutomationOff
from tests.containers.socket_proxy import SocketProxy
from tests.real.engine import Workshop
from tests.real.require import unavailable
from tests.waiting import until

pytestmark = pytest.mark.real("docker")


@pytest.fixture
async def proxy(workshop: Workshop, tmp_path: Path) -> AsyncIterator[SocketProxy]:
    scheme, _, path = workshop.run.host.partition("://")
    if scheme != "unix":
        unavailable("docker", "the engine is not behind a socket that could be cut")
    cuttable = SocketProxy(tmp_path / "engine.sock", Path(path))
    await cuttable.restore()
    yield cuttable
    await cuttable.cut()


@asynccontextmanager
async def fleet_behind(proxy: SocketProxy, workshop: Workshop) -> AsyncIterator[Fleet]:
    policy = FleetPolicy(startup_timeout=20.0, check_interval=600.0, scope=(workshop.case,))
    async with Fleet(Engine(proxy.host), policy) as fleet:
        yield fleet


async def test_a_lost_engine_turns_automation_off_and_a_found_one_on(
    workshop: Workshop, proxy: SocketProxy
) -> None:
    workshop.container("db")
    async with fleet_behind(proxy, workshop) as fleet:
        await fleet.ready("db", within=20)
        await proxy.cut()
        await until(lambda: not fleet.automation.available)
        assert "out of reach since" in (fleet.automation.reason or "")
        assert fleet.view("db").state is State.MISSING
        assert not fleet.is_ready("db")
        fleet.wake("db")
        with pytest.raises(AutomationOff, match="out of reach"):
            await fleet.ready("db", within=20)
        with pytest.raises(AutomationOff):
            await fleet.sleep("db")
        assert await fleet.idle_check() == []
        await proxy.restore()
        await until(lambda: fleet.is_ready("db"))
        assert fleet.automation.reason is None


async def test_a_death_in_the_gap_is_found_by_listing(
    workshop: Workshop, proxy: SocketProxy
) -> None:
    made = workshop.container("db")
    async with fleet_behind(proxy, workshop) as fleet:
        await fleet.ready("db", within=20)
        await proxy.cut()
        await until(lambda: not fleet.automation.available)
        workshop.api.kill(made)
        await proxy.restore()
        await until(lambda: fleet.view("db").state is State.ASLEEP)
        await fleet.ready("db", within=20)
    assert workshop.count("start", made) == 2


async def test_a_restart_in_a_short_gap_is_not_taken_for_the_same_run(
    workshop: Workshop, proxy: SocketProxy
) -> None:
    made = workshop.container("db")
    async with fleet_behind(proxy, workshop) as fleet:
        await fleet.ready("db", within=20)
        await proxy.cut()
        await asyncio.to_thread(workshop.api.restart, made)
        async with fleet.subscribe() as events:
            await proxy.restore()
            seen = []
            async with asyncio.timeout(20):
                async for event in events:
                    seen.append(event.state)
                    if event.state is State.AWAKE:
                        break
    assert State.WAKING in seen, "ready again only after it was probed again"


async def test_a_stream_that_is_cut_alone_costs_nothing(
    workshop: Workshop, proxy: SocketProxy
) -> None:
    made = workshop.container("db")
    async with fleet_behind(proxy, workshop) as fleet, fleet.subscribe() as events:
        await fleet.ready("db", within=20)
        for _ in range(3):
            await proxy.cut_connections()
        workshop.api.kill(made)
        await until(lambda: not fleet.is_ready("db"))
        seen = []
        async for event in events:
            seen.append(event.state)
            if event.state in (State.ASLEEP, State.MISSING) and State.AWAKE in seen:
                break
    assert State.MISSING not in seen


async def test_an_engine_that_was_never_there(workshop: Workshop, proxy: SocketProxy) -> None:
    workshop.container("db")
    await proxy.cut()
    async with fleet_behind(proxy, workshop) as fleet:
        assert not fleet.automation.available
        assert fleet.views() == []
        with pytest.raises(AutomationOff):
            await fleet.ready("db", within=20)
        await proxy.restore()
        await until(lambda: fleet.automation.available)
        await fleet.ready("db", within=20)


async def test_an_engine_lost_during_a_stop_is_waited_for_after_it(
    workshop: Workshop, proxy: SocketProxy
) -> None:
    slow = "trap '/bin/sleep 3; exit 0' TERM; /bin/redis-server --protected-mode no & "
    made = workshop.container(
        "db", command=["/bin/sh", "-c", slow + "while :; do /bin/sleep 0.1; done"]
    )
    async with fleet_behind(proxy, workshop) as fleet:
        await fleet.ready("db", within=20)
        sleeping = asyncio.create_task(fleet.sleep("db"))
        await until(lambda: workshop.count("kill", made) == 1)
        await proxy.cut()
        await until(lambda: not fleet.automation.available)
        await proxy.restore()
        await until(lambda: fleet.automation.available)
        assert fleet.view("db").state is not State.AWAKE, "it is dying: running is not ready"
        await fleet.ready("db", within=20)
        await asyncio.gather(sleeping, return_exceptions=True)
        assert fleet.is_ready("db")
    assert workshop.state(made) == "running"

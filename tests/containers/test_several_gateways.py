"""Several gateways look after one container: a real engine, a real Redis, asserted from the
engine's own events."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager

import pytest

from app.containers.engine import Engine
from app.containers.fleet import Fleet
from app.containers.lifecycle import State
from app.containers.policy import FleetPolicy
from app.coordination import company
from app.coordination.link import OpenDoor, RedisLink, connect
from app.coordination.rights import StopRights
from app.errors import ContainerError
from tests.containers.fleets import SLOW_STOP
from tests.real.engine import Workshop
from tests.real.redis import RedisServer, redis_process, redis_server
from tests.waiting import until

__all__ = ["redis_process", "redis_server"]
pytestmark = pytest.mark.real("redis")

Opened = Callable[[int], AbstractAsyncContextManager[list[Fleet]]]
Joined = Callable[[AsyncExitStack], Awaitable[tuple[Fleet, StopRights]]]


@pytest.fixture
def joined(
    workshop: Workshop, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> Joined:
    """One gateway more on the engine of the tests, at a Redis that nobody else uses."""
    monkeypatch.setattr(company, "BEAT", 0.1)
    redis_server.kill()
    redis_server.start()
    policy = FleetPolicy(
        idle_timeout=600.0, startup_timeout=20.0, check_interval=600.0, scope=(workshop.case,)
    )

    async def join(parts: AsyncExitStack) -> tuple[Fleet, StopRights]:
        redis = await parts.enter_async_context(connect(redis_server.url))
        rights = StopRights(RedisLink(redis, OpenDoor(), time.monotonic))
        parts.push_async_callback(rights.aclose)
        fleet = Fleet(Engine(workshop.run.host), policy, peers=rights)
        await parts.enter_async_context(fleet)
        await rights.join(fleet)
        return fleet, rights

    return join


@pytest.fixture
def gateways(joined: Joined) -> Opened:
    """So many gateways, which know of each other."""

    @asynccontextmanager
    async def opened(count: int) -> AsyncIterator[list[Fleet]]:
        async with AsyncExitStack() as parts:
            fleets, meetings = [], []
            for _ in range(count):
                fleet, rights = await joined(parts)
                fleets.append(fleet)
                meetings.append(rights)
            await until(lambda: all(len(one.gateways) == count for one in meetings))
            await until(lambda: all(one.news.listening for one in meetings))
            yield fleets

    return opened


def state(fleet: Fleet) -> State:
    return fleet.view("db").state


async def all_awake(fleets: list[Fleet]) -> None:
    await asyncio.gather(*(fleet.ready("db", within=20) for fleet in fleets))


async def test_none_stops_what_another_uses(workshop: Workshop, gateways: Opened) -> None:
    made = workshop.container("db", labels={"idle-timeout": "1ms"})
    async with gateways(3) as fleets:
        await all_awake(fleets)
        one, _, user = fleets
        with user.lease("db"):
            assert await one.idle_check() == []
            with pytest.raises(ContainerError, match="was not put to sleep"):
                await one.sleep("db")
            await until(lambda: all(state(fleet) is State.AWAKE for fleet in fleets))
            assert workshop.count("kill", made) == 0
        await until(lambda: user.view("db").sleeps_in == 0)
        await one.sleep("db")
        await until(lambda: all(state(fleet) is State.ASLEEP for fleet in fleets))
    assert (workshop.count("start", made), workshop.count("stop", made)) == (1, 1)


async def test_idle_here_is_not_idle_there(workshop: Workshop, gateways: Opened) -> None:
    made = workshop.container("db", labels={"idle-timeout": "2s"})
    async with gateways(2) as fleets:
        await all_awake(fleets)
        one, other = fleets
        deadline = time.monotonic() + 4
        while time.monotonic() < deadline:
            with other.lease("db"):
                await one.idle_check()
            await asyncio.sleep(0.2)
        assert workshop.count("kill", made) == 0
        await until(lambda: other.view("db").sleeps_in == 0)
        await until_slept(other)
        await until(lambda: state(one) is State.ASLEEP)
    assert workshop.count("stop", made) == 1


async def until_slept(fleet: Fleet) -> None:
    while await fleet.idle_check() == []:
        await asyncio.sleep(0.1)


@pytest.mark.parametrize("stage", range(3))
async def test_a_request_at_one_during_the_stop_of_another_is_served(
    workshop: Workshop, gateways: Opened, stage: int
) -> None:
    made = workshop.container("db", command=SLOW_STOP)
    async with gateways(2) as fleets:
        await all_awake(fleets)
        stopper, asker = fleets
        sleeping = asyncio.create_task(stopper.sleep("db"))
        await until(lambda: workshop.count("kill", made) == 1)
        await asyncio.sleep(0.4 * stage)
        assert not asker.is_ready("db")
        await asker.ready("db", within=20)
        assert asker.is_ready("db")
        await asyncio.gather(sleeping, return_exceptions=True)
    actions = [action for action, _ in workshop.events("start", "kill", "die")]
    assert actions == ["start", "kill", "die", "start"]
    assert workshop.state(made) == "running"


async def test_a_gateway_that_starts_during_the_stop_of_another_lets_nobody_through(
    workshop: Workshop, gateways: Opened, joined: Joined
) -> None:
    made = workshop.container("db", command=SLOW_STOP)
    async with gateways(2) as fleets, AsyncExitStack() as parts:
        await all_awake(fleets)
        sleeping = asyncio.create_task(fleets[0].sleep("db"))
        await until(lambda: workshop.count("kill", made) == 1)
        newcomer, _ = await joined(parts)
        assert workshop.state(made) == "running", "the stop is under way"
        await newcomer.ready("db", within=20)
        actions = [action for action, _ in workshop.events("start", "kill", "die")]
        assert actions == ["start", "kill", "die", "start"]
        await asyncio.gather(sleeping, return_exceptions=True)
    assert workshop.state(made) == "running"


async def test_a_gate_that_was_closed_in_vain_opens_again(
    workshop: Workshop, gateways: Opened
) -> None:
    made = workshop.container("db", labels={"idle-timeout": "1ms"})
    async with gateways(3) as fleets:
        await all_awake(fleets)
        one, willing, user = fleets
        with user.lease("db"):
            with pytest.raises(ContainerError):
                await one.sleep("db")
            await willing.ready("db", within=5)
            await until(lambda: state(willing) is State.AWAKE)
    assert workshop.count("start", made) == 1
    assert workshop.count("kill", made) == 0


async def test_a_gateway_that_dies_with_open_leases_keeps_nothing_up(
    workshop: Workshop, gateways: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(company, "ALIVE", 1.0)
    workshop.container("db", labels={"idle-timeout": "1ms"})
    async with gateways(2) as fleets:
        await all_awake(fleets)
        one, dead = fleets
        with dead.lease("db"):
            peers = dead._conductor._peers
            assert isinstance(peers, StopRights)
            with pytest.raises(ContainerError):
                await one.sleep("db")
            assert peers._company is not None
            peers._company._task.cancel()
            peers.news._task.cancel()
            asked = one._conductor._peers
            assert isinstance(asked, StopRights)
            await until(lambda: len(asked.gateways) == 1)
            await one.sleep("db")
        assert state(one) is State.ASLEEP


async def test_without_redis_nobody_stops_and_everybody_wakes(
    workshop: Workshop, gateways: Opened, redis_server: RedisServer
) -> None:
    made = workshop.container("db", labels={"idle-timeout": "1ms"})
    async with gateways(2) as fleets:
        one, other = fleets
        redis_server.kill()
        await all_awake(fleets)
        assert await one.idle_check() == []
        assert await other.idle_check() == []
        assert workshop.count("kill", made) == 0
        redis_server.start()
        await until_slept(one)
    assert workshop.count("stop", made) == 1

"""Redis asked for a moment at most, over a real one that is killed, paused or asleep."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import structlog

from app.coordination.link import PAUSE, Away, OpenDoor, RedisLink, connect
from tests.cache.doubles import Clock, SwitchedGate
from tests.real.redis import RedisServer

pytestmark = pytest.mark.real("redis")


@pytest.fixture
async def link(redis_server: RedisServer) -> AsyncIterator[RedisLink]:
    async with connect(redis_server.url) as redis:
        yield RedisLink(redis, OpenDoor(), Clock())


def clock_of(link: RedisLink) -> Clock:
    clock = link._clock
    assert isinstance(clock, Clock)
    return clock


async def test_an_answer_is_an_answer(link: RedisLink) -> None:
    assert await link.call(link.redis.ping)
    assert not link.is_away


@pytest.mark.parametrize("harm", ["kill", "pause"])
async def test_one_who_asks_in_vain_is_told_and_the_next_ones_at_once(
    link: RedisLink, redis_server: RedisServer, harm: str
) -> None:
    getattr(redis_server, harm)()
    with structlog.testing.capture_logs() as logs:
        for _ in range(3):
            with pytest.raises(Away):
                await link.call(link.redis.ping)
    assert link.is_away
    assert [line["event"] for line in logs] == ["no word from redis: each process works by itself"]
    redis_server.start()
    with pytest.raises(Away):
        await link.call(link.redis.ping)
    clock_of(link).now += PAUSE
    with structlog.testing.capture_logs() as logs:
        assert await link.call(link.redis.ping)
    assert [line["event"] for line in logs] == ["redis is back: processes work together again"]


async def test_asleep_it_is_woken_by_a_call_and_not_by_a_look(redis_server: RedisServer) -> None:
    door = SwitchedGate(is_open=False)
    async with connect(redis_server.url) as redis:
        link = RedisLink(redis, door, Clock())
        with pytest.raises(Away):
            await link.look(redis.ping)
        assert door.wakes == 0
        with pytest.raises(Away):
            await link.call(redis.ping)
        assert door.wakes == 1
        door.unlock()
        assert await link.look(redis.ping)
        assert await link.call(redis.ping)
        assert not link.is_away
    assert door.leases == 0


async def test_whoever_is_cancelled_ends_whatever_the_client_does_just_then(
    redis_server: RedisServer,
) -> None:
    async with connect(redis_server.url) as redis:
        link = RedisLink(redis, OpenDoor(), Clock())

        async def ask_on_and_on() -> None:
            while True:
                await link.call(redis.ping)

        for number in range(1_500):
            asking = asyncio.create_task(ask_on_and_on())
            for _ in range(number % 75):
                await asyncio.sleep(0)
            asking.cancel()
            done, _ = await asyncio.wait({asking}, timeout=5)
            asking.cancel()
            assert done, f"it goes on after {number % 75} passes of the loop"


async def test_who_has_no_door_is_always_let_in() -> None:
    door = OpenDoor()
    with door.enter(), await door.open():
        assert door.is_open

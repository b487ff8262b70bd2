"""A key that one process holds as long as it lives: over a real Redis."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator

import pytest

from app.coordination.lease import Lease
from app.coordination.link import Away, OpenDoor, RedisLink, connect
from tests.real.redis import RedisServer
from tests.waiting import until

pytestmark = pytest.mark.real("redis")
SECONDS = 0.5


@pytest.fixture
async def link(redis_server: RedisServer) -> AsyncIterator[RedisLink]:
    async with connect(redis_server.url) as redis:
        yield RedisLink(redis, OpenDoor(), time.monotonic)


@pytest.fixture
def key() -> str:
    return f"test:{uuid.uuid4().hex}"


async def test_only_one_has_it_until_it_is_given_back(link: RedisLink, key: str) -> None:
    one, two = Lease(link, key, seconds=SECONDS), Lease(link, key, seconds=SECONDS)
    assert await one.take()
    assert one.holds
    assert not await two.take()
    assert not await two.give_back()
    assert await one.give_back()
    assert not one.holds
    assert await two.take()
    await two.give_back()


async def test_it_is_renewed_and_runs_out_with_its_holder(link: RedisLink, key: str) -> None:
    one, two = Lease(link, key, seconds=SECONDS), Lease(link, key, seconds=SECONDS)
    assert await one.take()
    await asyncio.sleep(3 * SECONDS)
    assert one.holds
    assert not await two.take()
    one.let_run_out()  # as SIGKILL would
    async with asyncio.timeout(20):
        while not await two.take():
            await asyncio.sleep(0.02)
    assert not one.holds
    # What is somebody else's by now is left alone.
    await one.give_back()
    assert await link.redis.get(key) == two.token.encode()
    await two.give_back()


@pytest.mark.parametrize("take_again", [False, True])
async def test_one_that_vanished_is_lost_or_taken_again(
    link: RedisLink, key: str, take_again: bool
) -> None:
    lost: list[str] = []
    lease = Lease(link, key, seconds=SECONDS, take_again=take_again, on_lost=lost.append)
    assert await lease.take()
    await link.redis.delete(key)
    if take_again:
        async with asyncio.timeout(20):
            while await link.redis.get(key) != lease.token.encode():
                await asyncio.sleep(0.02)
        assert lost == []
        assert lease.holds
    else:
        await until(lambda: lost)
        assert not lease.holds
    await lease.give_back()


async def test_one_that_was_taken_over_is_lost(link: RedisLink, key: str) -> None:
    lost: list[str] = []
    lease = Lease(link, key, seconds=SECONDS, take_again=True, on_lost=lost.append)
    assert await lease.take()
    await link.redis.set(key, "somebody")
    await until(lambda: lost)
    assert lost == ["somebody else has taken it"]
    assert not lease.holds
    await lease.give_back()
    assert await link.redis.get(key) == b"somebody"


async def test_without_redis_it_is_not_taken_and_what_is_held_is_lost(
    link: RedisLink, key: str, redis_server: RedisServer
) -> None:
    lost: list[str] = []
    lease = Lease(link, key, seconds=SECONDS, take_again=True, on_lost=lost.append)
    assert await lease.take()
    redis_server.pause()
    try:
        with pytest.raises(Away):
            await Lease(link, key, seconds=SECONDS).take()
        await until(lambda: lost)
        assert "Redis could not be asked for 0.5 s" in lost[0]
        await lease.give_back()
    finally:
        redis_server.resume()

"""The log of changes over a real Redis: other programs that read it, and a Redis that sleeps."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest
import redis.asyncio

from app.errors import StoreError, StoreUnavailable
from app.records.change import ChangeLog, CursorGone
from tests.cache.doubles import SwitchedGate
from tests.real.redis import RedisServer
from tests.records.told import RedisPlace, batch, change, changes_in, everything, redis_place
from tests.waiting import until

pytestmark = pytest.mark.real("redis")


@pytest.fixture
async def place(redis_server: RedisServer) -> AsyncIterator[RedisPlace]:
    async with redis_place(redis_server.url) as found:
        yield found


async def test_another_program_reads_it_by_a_consumer_group(
    place: RedisPlace, redis_client: redis.asyncio.Redis
) -> None:
    """As ``docs/reference/changes.md`` says, with a reader that dies half-way."""
    log = await place.open()
    other: Any = redis_client
    await other.xgroup_create(place.name, "mine", id="0", mkstream=True)
    await log.append(batch(5))
    [[_, taken]] = await other.xreadgroup("mine", "one", {place.name: ">"}, count=3)
    await other.xack(place.name, "mine", taken[0][0])
    # The first dies with two in its hands; the second takes these over, and goes on.
    _, claimed, _ = await other.xautoclaim(place.name, "mine", "two", min_idle_time=0)
    assert claimed == taken[1:]
    [[_, rest]] = await other.xreadgroup("mine", "two", {place.name: ">"})
    for entry, values in [*claimed, *rest]:
        assert values[b"kind"] == b"players"
        assert json.loads(values[b"row"])["id"] == values[b"id"].decode()
        assert json.loads(values[b"fields"]) == {"totalXP": ["0", "1"]}
        assert (values[b"draft"], values[b"happened"]) == (b"1", b"changed")
        assert float(values[b"at"]) == change().at
        await other.xack(place.name, "mine", entry)
    assert (await other.xpending(place.name, "mine"))["pending"] == 0
    entries = [entry.decode() for entry, _ in [*taken[:1], *claimed, *rest]]
    assert entries == [told.cursor for told in await everything(log)]


async def test_what_others_write_into_it_is_told_and_not_passed_over(
    place: RedisPlace, redis_client: redis.asyncio.Redis
) -> None:
    log = await place.open()
    await redis_client.xadd(place.name, {"kind": "players", "id": "7"})
    with pytest.raises(StoreError, match="no change of ours"):
        await log.read("", limit=10)


async def test_a_stream_that_others_cut_has_no_hole(
    place: RedisPlace, redis_client: redis.asyncio.Redis
) -> None:
    log = await place.open()
    await log.append(batch(5))
    told = await everything(log)
    await redis_client.xdel(place.name, told[1].cursor)
    with pytest.raises(CursorGone):
        await log.read(told[1].cursor, limit=1)
    assert await log.read(told[0].cursor, limit=9) == told[2:]


@pytest.mark.parametrize("harm", ["kill", "pause"])
async def test_a_dead_redis_is_said_to_be_so_and_comes_back(
    redis_server: RedisServer, harm: str
) -> None:
    async with redis_place(redis_server.url) as place:
        log = await place.open()
        log._patience = 0.5
        await log.append(batch(3))
        after = await log.last()
        waiting = asyncio.create_task(log.wait(after, within=60))
        await asyncio.sleep(0.05)
        getattr(redis_server, harm)()
        with pytest.raises(StoreUnavailable, match="the changes in redis"):
            await waiting
        with pytest.raises(StoreUnavailable):
            await log.append(batch(3, draft=2))
        redis_server.start()
        if harm == "kill":  # and all that it knew with it
            with pytest.raises(CursorGone):
                await log.read(after, limit=1)
        assert await log.append(batch(3, draft=3))
        assert changes_in(await everything(log))[-3:] == batch(3, draft=3)


async def test_who_waits_wakes_nobody_and_who_appends_does(redis_server: RedisServer) -> None:
    door = SwitchedGate(is_open=False)
    async with redis_place(redis_server.url, door) as place:
        log = await place.open()
        assert not await log.wait("", within=0.05)
        waiting = asyncio.create_task(log.wait("", within=60))
        await asyncio.sleep(0.02)
        assert (door.wakes, door.leases) == (0, 0)
        appending = asyncio.create_task(log.append(batch(2)))
        await until(lambda: door.wakes)
        assert not appending.done()
        door.unlock()
        assert await appending
        assert await waiting
        assert door.leases == 0
        # It is not held up by who waits: it may be stopped, and then nothing comes of it.
        waiting = asyncio.create_task(log.wait(await log.last(), within=60))
        await asyncio.sleep(0.02)
        assert door.leases == 0
        waiting.cancel()
        with suppress(asyncio.CancelledError):
            await waiting


async def test_who_waits_can_be_told_to_end_at_any_moment(place: RedisPlace) -> None:
    log, other = await place.open(), await place.open()
    for draft in range(1, 300):
        waiting = asyncio.create_task(_wait_for_ever(log))
        for _ in range(draft % 23):
            await asyncio.sleep(0)
        if draft % 2:
            await other.append(batch(1, draft=draft))
        waiting.cancel()
        done, _ = await asyncio.wait({waiting}, timeout=20)
        assert done, "it went on"
        assert waiting.cancelled()


async def _wait_for_ever(log: ChangeLog) -> None:
    while True:
        await log.wait(await log.last(), within=60)


async def test_a_redis_that_does_not_wake_is_no_store(redis_server: RedisServer) -> None:
    async with redis_place(redis_server.url, SwitchedGate(broken=True)) as place:
        log = await place.open()
        with pytest.raises(StoreUnavailable, match="it does not start"):
            await log.append(batch(1))
        with pytest.raises(StoreUnavailable, match="it does not start"):
            await log.read("", limit=1)

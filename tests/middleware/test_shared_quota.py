"""Quotas that several processes count together, over a real Redis."""

from __future__ import annotations

import socket
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import redis.asyncio
import structlog

from app.middleware import shared_quota
from app.middleware.quota import ClientQuotas, Limit, parse_limits
from app.middleware.shared_quota import SharedQuotas
from tests.cache.doubles import SwitchedGate
from tests.real.redis import RedisServer, redis_client, redis_process, redis_server
from tests.waiting import until

__all__ = ["redis_client", "redis_process", "redis_server"]

pytestmark = pytest.mark.real("redis")
HOUR = Limit("default", 10, 3600)
NEVER = 3600.0
"""A period that does not end within a test: exchanges are made by hand."""

Worker = tuple[ClientQuotas, SharedQuotas]


def worker(
    client: redis.asyncio.Redis, limits: tuple[Limit, ...] = (HOUR,), period: float = NEVER
) -> Worker:
    """The quotas of one process, as far as Redis can tell."""
    quotas = ClientQuotas(limits, time.monotonic)
    return quotas, SharedQuotas(quotas, client, period=period)


@pytest.fixture
def name() -> str:
    """A client that no other test knows."""
    return f"client-{uuid.uuid4().hex}"


Make = Callable[[str], ClientQuotas]
InStep = Callable[[], Awaitable[None]]


async def nothing() -> None:
    """Quotas that nobody shares are always in step."""


@pytest.fixture(params=["alone", "shared"])
async def promise(request: pytest.FixtureRequest) -> AsyncIterator[tuple[Make, InStep]]:
    """Makes quotas, and brings them in step: what is promised holds in one process and in many."""
    if request.param == "alone":
        yield lambda text: ClientQuotas(parse_limits(text), time.monotonic), nothing
        return
    server: RedisServer = request.getfixturevalue("redis_server")
    made: list[SharedQuotas] = []
    async with redis.asyncio.from_url(server.url) as client:

        def make(text: str) -> ClientQuotas:
            quotas, shared = worker(client, parse_limits(text))
            made.append(shared)
            return quotas

        async def in_step() -> None:
            for shared in made:
                await shared.exchange()
                assert not shared.alone

        yield make, in_step


async def test_a_quota_is_counted_down_then_refused(
    promise: tuple[Make, InStep], name: str
) -> None:
    make, in_step = promise
    quotas, left = make("5/hour"), []
    for _ in range(5):
        left.append(quotas.take(name).remaining)
        await in_step()
    assert left == [4, 3, 2, 1, 0]
    refused = quotas.take(name)
    assert 3600 < refused.wait <= 2 * 3600
    assert 3500 < refused.reset <= 3600


async def test_what_is_refused_is_not_counted(promise: tuple[Make, InStep], name: str) -> None:
    make, in_step = promise
    quotas = make("5/hour")
    quotas.take(name, 4)
    await in_step()
    assert quotas.take(name, 2).wait > 0
    await in_step()
    assert quotas.take(name).remaining == 0


async def test_a_charge_is_given_back(promise: tuple[Make, InStep], name: str) -> None:
    make, in_step = promise
    quotas = make("5/hour")
    quotas.take(name, 5)
    await in_step()
    quotas.charge(name, -3)
    await in_step()
    assert quotas.take(name).remaining == 2


async def test_what_is_given_back_late_is_not_taken_from_others(
    redis_client: redis.asyncio.Redis, name: str
) -> None:
    (one, first), (other, second) = worker(redis_client), worker(redis_client)
    other.take(name, 6)
    await second.exchange()
    one.charge(name, -5)
    await first.exchange()
    await assert_told(redis_client, name, 6)


async def test_every_limit_counts(promise: tuple[Make, InStep], name: str) -> None:
    make, in_step = promise
    quotas = make("5/hour; 7/day")
    quotas.take(name, 5)
    await in_step()
    assert quotas.take(name).limit.window == 3600
    quotas.charge(name, -1)
    quotas.charge(name, 3)
    await in_step()
    assert quotas.take(name).limit.window == 24 * 3600


async def test_the_quota_comes_back(promise: tuple[Make, InStep], name: str) -> None:
    make, in_step = promise
    quotas = make("5/second")
    quotas.take(name, 5)
    await in_step()
    assert quotas.take(name).wait > 0
    await until(lambda: not quotas.take(name).wait, what="a unit to come back")


async def test_processes_add_up_what_they_count(
    redis_client: redis.asyncio.Redis, name: str
) -> None:
    (one, first), (other, second) = worker(redis_client), worker(redis_client)
    one.take(name, 6)
    other.take(name, 3)
    await first.exchange()
    await second.exchange()
    assert other.take(name).remaining == 0
    await second.exchange()
    assert one.charge(name, 0).remaining == 4, "it has not heard yet"
    await first.exchange()
    assert one.take(name).wait > 0


async def test_they_are_told_in_the_background_and_at_the_end(
    redis_client: redis.asyncio.Redis, name: str
) -> None:
    (one, first), (other, second) = worker(redis_client, period=0.01), worker(redis_client)
    async with first, second:
        other.take(name, 7)
        await second.exchange()
        await until(lambda: one.charge(name, 0).remaining == 3, what="the first to hear of it")
        other.take(name, 2)
    await assert_told(redis_client, name, 9)


async def assert_told(client: redis.asyncio.Redis, name: str, units: int) -> None:
    """Redis was told of so many units in all."""
    told = await client.hget(f"drawbridge:quota:{name}:3600", "current")
    assert told == str(units).encode()


async def test_many_clients_are_told_in_several_calls(
    redis_client: redis.asyncio.Redis, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_quota, "_BATCH", 10)
    quotas, shared = worker(redis_client)
    for number in range(25):
        quotas.take(f"{name}-{number}", number % 10 + 1)
    await shared.exchange()
    for number in range(25):
        await assert_told(redis_client, f"{name}-{number}", number % 10 + 1)


async def test_what_is_shared_is_forgotten_in_time(
    redis_client: redis.asyncio.Redis, name: str
) -> None:
    quotas, shared = worker(redis_client)
    quotas.take(name)
    await shared.exchange()
    assert 3600 < await redis_client.ttl(f"drawbridge:quota:{name}:3600") <= 2 * 3600


async def test_what_was_not_told_in_its_window_is_not_told_in_the_next(
    redis_client: redis.asyncio.Redis, name: str
) -> None:
    now = 1000.0
    quotas = ClientQuotas([HOUR], lambda: now)
    shared = SharedQuotas(quotas, redis_client, period=NEVER)
    quotas.take(name, 8)
    now += 3 * 3600
    await shared.exchange()
    await assert_told(redis_client, name, 0)
    assert quotas.take(name).remaining == 9


async def test_without_redis_each_process_counts_alone(name: str) -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        url = f"redis://:hidden@127.0.0.1:{deaf.getsockname()[1]}"
        async with redis.asyncio.from_url(url) as client:
            quotas, shared = worker(client)
            with structlog.testing.capture_logs() as lines:
                for units in (4, 6):
                    quotas.take(name, units)
                    await shared.exchange()
            assert quotas.take(name).wait > 0
            assert shared.alone
    (line,) = lines
    assert line["log_level"] == "warning"
    assert "hidden" not in str(line)


async def test_a_redis_that_was_killed_is_used_again_and_what_it_lost_is_remembered_here(
    redis_server: RedisServer, redis_client: redis.asyncio.Redis, name: str
) -> None:
    quotas, shared = worker(redis_client)
    quotas.take(name, 5)
    await shared.exchange()
    redis_server.kill()
    with structlog.testing.capture_logs() as lines:
        for _ in range(2):
            assert quotas.take(name).wait == 0
            await shared.exchange()
        redis_server.start()
        quotas.take(name)
        await shared.exchange()
    assert [line["event"] for line in lines] == [
        "rate limits hold for each process alone",
        "rate limits are shared again",
    ]
    assert quotas.take(name, 2).remaining == 0


async def test_a_redis_that_hangs_holds_nobody_up_and_counts_nothing_twice(
    redis_server: RedisServer, redis_client: redis.asyncio.Redis, name: str
) -> None:
    (quotas, shared), (other, second) = worker(redis_client), worker(redis_client)
    other.take(name)
    quotas.take(name)
    await shared.exchange()
    redis_server.pause()
    try:
        for _ in range(3):
            quotas.take(name)
            await shared.exchange()
            assert shared.alone
    finally:
        redis_server.resume()
    quotas.take(name)
    await shared.exchange()
    assert not shared.alone
    assert quotas.charge(name, 0).remaining == 5
    await second.exchange()
    assert other.charge(name, 0).remaining >= 4


async def test_what_redis_refuses_is_no_request_s_concern(
    redis_client: redis.asyncio.Redis, name: str
) -> None:
    await redis_client.set(f"drawbridge:quota:{name}:3600", "not a hash", ex=60)
    quotas, shared = worker(redis_client)
    quotas.take(name)
    await shared.exchange()
    assert shared.alone
    assert quotas.take(name).remaining == 8


async def test_a_redis_that_sleeps_is_woken_and_told_when_it_is_up(
    redis_client: redis.asyncio.Redis, name: str
) -> None:
    gate = SwitchedGate(is_open=False)
    quotas = ClientQuotas((HOUR,), time.monotonic)
    shared = SharedQuotas(quotas, redis_client, period=NEVER, enter=gate.enter)
    await shared.exchange()
    assert gate.wakes == 0
    quotas.take(name)
    await shared.exchange()
    assert gate.wakes == 1
    gate.unlock()
    await shared.exchange()
    await assert_told(redis_client, name, 1)
    assert gate.leases == 0

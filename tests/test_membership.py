"""Gateways that share a Redis, on real sockets: what one learns or is told, the others know."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest

from app.cache.purges import Purge, Scope
from app.membership import Membership
from tests.gateways import Told, gateway_on, upstream_of
from tests.real.redis import RedisServer, redis_process, redis_server

__all__ = ["redis_process", "redis_server"]
pytestmark = pytest.mark.real("redis")
HERE = {"trusted_proxies": ("127.0.0.1",), "rate_limit": "off"}
"""Fine settings for a client that asks much."""


@pytest.fixture
def told() -> Told:
    return Told(body=b'{"clans":[{"id":1}]}')


@pytest.fixture
async def two(
    told: Told, redis_server: RedisServer, tmp_path: Path
) -> AsyncIterator[tuple[httpx.AsyncClient, httpx.AsyncClient]]:
    """Clients of two gateways with stores of their own: what they share goes through Redis."""
    async with AsyncExitStack() as parts:
        upstream = await parts.enter_async_context(upstream_of(told))
        clients = []
        for name in ("one", "other"):
            (tmp_path / name).mkdir()
            gateway = gateway_on(upstream, tmp_path / name, redis_url=redis_server.url, **HERE)
            clients.append(await parts.enter_async_context(gateway))
        yield clients[0], clients[1]


def how(response: httpx.Response) -> str:
    return response.headers["cache-status"].removeprefix("drawbridge; ")


async def test_a_cold_question_to_both_is_one_call(
    two: tuple[httpx.AsyncClient, httpx.AsyncClient], told: Told
) -> None:
    answers = await asyncio.gather(*(client.get("/clans?name=a") for client in two * 100))
    assert {answer.content for answer in answers} == {told.body}
    assert len(told.asked) == 1


async def test_a_purge_reaches_the_memory_of_the_other(
    two: tuple[httpx.AsyncClient, httpx.AsyncClient], told: Told
) -> None:
    one, other = two
    await other.get("/clans")
    assert how(await other.get("/clans")).startswith("hit")
    done = await one.post("/cache/purge", json={"all": True, "mode": "hard"})
    assert done.status_code == 200
    told.body = b'{"clans":[{"id":2}]}'
    for _ in range(500):
        answer = await other.get("/clans")
        if answer.content == told.body:
            break
        await asyncio.sleep(0.01)
    assert answer.content == told.body


async def test_what_one_refreshes_is_fresh_in_the_other(
    two: tuple[httpx.AsyncClient, httpx.AsyncClient], told: Told
) -> None:
    one, _ = two
    for client in two:
        await client.get("/clans")
    await one.post("/cache/purge", json={"tag": "clans"})
    told.body = b'{"clans":[{"id":3}]}'
    await one.get("/clans")
    for client in two:
        for _ in range(500):
            if (await client.get("/clans")).content == told.body:
                break
            await asyncio.sleep(0.01)
        assert (await client.get("/clans")).content == told.body
    assert len(told.asked) == 2


async def test_without_redis_both_answer(
    two: tuple[httpx.AsyncClient, httpx.AsyncClient], redis_server: RedisServer, told: Told
) -> None:
    redis_server.kill()
    for client in two:
        assert (await client.get("/clans")).status_code == 200
        assert (await client.post("/cache/purge", json={"all": True})).status_code == 200
    redis_server.start()


async def test_a_pause_that_one_was_told_holds_for_the_other(
    two: tuple[httpx.AsyncClient, httpx.AsyncClient], told: Told
) -> None:
    one, other = two
    told.status, told.headers = 503, {"retry-after": "120"}
    assert (await one.get("/clans")).status_code == 502

    async def asked(name: str) -> int:
        before = len(told.asked)
        assert (await other.get(f"/clans?name={name}")).status_code == 502
        return len(told.asked) - before

    for number in range(200):
        if await asked(f"n{number}") == 0:
            break
        await asyncio.sleep(0.02)
    assert await asked("last") == 0


class Noted:
    """Stands for the cache and the upstream: notes what it is told."""

    def __init__(self) -> None:
        self.told: list[object] = []

    def __getattr__(self, name: str) -> object:
        return lambda *told: self.told.append((name, *told))


async def test_a_line_that_cannot_be_read_makes_everything_stale() -> None:
    cache, upstream = Noted(), Noted()
    member = Membership(cache, upstream, lambda: 5.0)  # type: ignore[arg-type]
    member.read(b"no purge")
    assert cache.told == [("purge", Purge(Scope.ALL, "", 5.0))]
    member.landed(b"no answer")
    assert len(cache.told) == 1


async def test_calls_are_shared_out_among_those_who_live() -> None:
    upstream = Noted()
    member = Membership(Noted(), upstream, lambda: 5.0)  # type: ignore[arg-type]
    for count in (1, 1, 3, 3, 2):
        member.counted(count)
    assert upstream.told == [("share", 3), ("share", 2)]

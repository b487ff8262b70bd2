"""Thousands ask the same new question of two workers at once: the upstream is asked once."""

from __future__ import annotations

import asyncio
import resource
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp
import httpx
import pytest

from tests.processes import drawbridge
from tests.real.redis import RedisServer, redis_process, redis_server

__all__ = ["redis_process", "redis_server"]
pytestmark = pytest.mark.real("redis")
CLIENTS = 5_000
FILES = 2 * CLIENTS + 1_000
QUESTION = "/quests"


@contextmanager
def many_files() -> Iterator[None]:
    """This process, and those that it starts, may open a socket for each client."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < FILES:
        pytest.skip(f"only {hard} files may be open")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, FILES), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def ask_all(url: str) -> list[tuple[int, bytes]]:
    """What each of the clients gets, every one on a connection of its own."""
    begin = asyncio.Event()

    async def ask(session: aiohttp.ClientSession) -> tuple[int, bytes]:
        await begin.wait()
        async with session.get(url + QUESTION) as response:
            return response.status, await response.read()

    timeout = aiohttp.ClientTimeout(total=60)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        asking = [asyncio.create_task(ask(session)) for _ in range(CLIENTS)]
        begin.set()
        return list(await asyncio.gather(*asking))


async def test_five_thousand_on_a_cold_key_over_two_workers(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    with many_files(), drawbridge(tmp_path / "s", "sandbox", "--port", "0") as sandbox:
        upstream = sandbox.url()
        # Slow enough that those who come last still find the first one asking.
        httpx.put(f"{upstream}/__sandbox__/faults", json={"latency": 3.0}).raise_for_status()
        settings = {
            "ESTFOR_API_URL": upstream,
            "REDIS_URL": redis_server.url,
            "RATE_LIMIT": "off",
            "ACCESS_LOG": "false",
            "SYNC_ENABLED": "false",
            "DOCKER_HOST": f"unix://{tmp_path}/no-engine.sock",
        }
        serve = ("serve", "--port", "0", "--workers", "2")
        with drawbridge(tmp_path / "g", *serve, settings=settings) as gateway:
            answers = await ask_all(gateway.url())
            counts = httpx.get(f"{upstream}/__sandbox__/counts").json()
            told = httpx.get(f"{gateway.url()}/metrics").text
        httpx.delete(f"{upstream}/__sandbox__/faults")
        right = httpx.get(upstream + QUESTION).content
    assert Counter(status for status, _ in answers) == {200: CLIENTS}
    assert {body for _, body in answers} == {right}
    assert counts["total"] == 1, counts
    [line] = [line for line in told.splitlines() if line.startswith("drawbridge_requests_total{")]
    assert line.endswith(f" {CLIENTS}.0"), "the workers do not count together"

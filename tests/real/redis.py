"""A real Redis, for tests that want to talk to one.

Looked for in this order: an address in ``REDIS_URL``, ``redis-server``. It is used for the whole
session and shared by all tests, so each names its keys so that no other has them.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import redis
import redis.asyncio

from tests.real.require import find_binary, unavailable
from tests.real.server import Server, ServerProcess, free_port

_PING = 0.5


class RedisServer(Server):
    """A server at ``url``: a process of ours, unless an address was given."""

    what, variable = "redis", "REDIS_URL"

    def __init__(self, url: str, process: ServerProcess | None = None) -> None:
        super().__init__(process)
        self.url = url

    def complaint(self) -> str | None:
        try:
            with redis.from_url(self.url, socket_timeout=_PING, retry=None) as client:
                client.ping()
        except redis.RedisError as error:
            return str(error)
        return None


class RedisProcess(RedisServer):
    """A server process on a free port of its own, which it keeps when started again."""

    def __init__(self, program: str, folder: Path) -> None:
        port = free_port()
        command = [
            program,
            f"--port {port}",
            "--bind 127.0.0.1",
            f"--dir {folder}",
            "--save ''",
            "--appendonly no",
        ]
        super().__init__(f"redis://127.0.0.1:{port}/0", ServerProcess(command, folder / "log"))


@pytest.fixture(scope="session")
def redis_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """The session's server; tests ask for ``redis_server``."""
    if url := os.environ.get("REDIS_URL"):
        yield RedisServer(url)
        return
    program = find_binary("redis-server")
    if program is None:
        unavailable("redis", "there is no redis-server")
    process = RedisProcess(program, tmp_path_factory.mktemp("redis"))
    try:
        yield process
    finally:
        process.kill()


@pytest.fixture
def redis_server(redis_process: RedisServer) -> RedisServer:
    """A server that answers. A test may kill or pause it and need not put it right again."""
    redis_process.start()
    return redis_process


@pytest.fixture
async def redis_client(redis_server: RedisServer) -> AsyncIterator[redis.asyncio.Redis]:
    """A client of ``redis_server``."""
    async with redis.asyncio.from_url(redis_server.url) as client:
        yield client

"""A real Redis, for tests that want to talk to one.

Looked for in this order: an address in ``REDIS_URL``, ``redis-server``. It is used for the whole
session and shared by all tests, so each names its keys so that no other has them.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest
import redis
import redis.asyncio

from tests.real.require import find_binary, unavailable

_READY_WITHIN = 20.0
_STOPPED_WITHIN = 10.0
_PING = 0.5


class RedisNotStarted(Exception):
    """Raised when the server does not come up; the message ends with its log."""


class RedisServer:
    """A server at ``url``: a process of ours, unless an address was given."""

    def __init__(self, url: str) -> None:
        self.url = url

    def start(self) -> None:
        """Return when it answers; at once if it runs. Raises ``RedisNotStarted``."""
        _wait_until_ready(self.url, lambda: True)

    def kill(self) -> None:
        """End it at once, as a crash would: what it knew is lost."""
        self._not_ours()

    def pause(self) -> None:
        """Let it hang, connections and all, as a paused container does."""
        self._not_ours()

    def resume(self) -> None:
        """Undo ``pause``; nothing if it is not paused."""

    def _not_ours(self) -> NoReturn:
        unavailable("redis to do harm to", "the one in REDIS_URL is not ours")


class RedisProcess(RedisServer):
    """A server process on a free port of its own, which it keeps when started again."""

    def __init__(self, program: str, folder: Path) -> None:
        port = _free_port()
        super().__init__(f"redis://127.0.0.1:{port}/0")
        self._log = folder / "log"
        self._command = [
            program,
            f"--port {port}",
            "--bind 127.0.0.1",
            f"--dir {folder}",
            "--save ''",
            "--appendonly no",
        ]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.resume()
        if self._process is None:
            with self._log.open("ab") as log:
                self._process = subprocess.Popen(
                    self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log
                )
        process = self._process
        try:
            _wait_until_ready(self.url, lambda: process.poll() is None)
        except RedisNotStarted as failure:
            self.kill()
            log_tail = self._log.read_text(errors="replace")[-4000:]
            raise RedisNotStarted(f"{failure}: {self._command[0]}\n{log_tail}") from None

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(_STOPPED_WITHIN)
            self._process = None

    def pause(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)


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


def _wait_until_ready(url: str, alive: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _READY_WITHIN
    while alive():
        try:
            with redis.from_url(url, socket_timeout=_PING, retry=None) as client:
                client.ping()
        except redis.RedisError as error:
            if time.monotonic() > deadline:
                raise RedisNotStarted(f"not ready in {_READY_WITHIN:g} s ({error})") from None
            time.sleep(0.01)
        else:
            return
    raise RedisNotStarted("it ended at once")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port

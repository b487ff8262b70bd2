"""What is broken: a kingdom, a gateway on it and what that stands on, as processes of their own.

All keep their addresses when they are killed and started again.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import socket
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
from pymongo import MongoClient

from app.cache.sqlite import SqliteStore
from tests.chaos.disk import SmallDisk, small_disk
from tests.processes import Drawbridge, drawbridge, workers_of
from tests.real.clock import WallClock
from tests.real.mongodb import MongoServer
from tests.real.redis import RedisServer

BLOCK = 70_000_000
"""What is asked as of a block of the past does not change."""
KNOWN = [
    *(f"/actions/{number}" for number in (1, 2, 3, 500, 501, 502, 1500, 1501)),
    *(f"/clan-tiers/{number}" for number in (1, 2, 3)),
    *(f"/quests/{number}" for number in range(1, 6)),
    "/clan-tiers",
    "/avatars",
    "/xp-threshold-rewards",
    f"/orders?tokenId=1&block={BLOCK}",
    f"/activities?block={BLOCK}&numToFetch=5",
    f"/core-data?block={BLOCK}",
    "/actions",
]
"""Questions of every freshness class but one, whose answers do not change; the last is too large
for the memory tier of ``SETTINGS``, so that it comes from the store."""
UPSTREAM_TIMEOUT = 3.0
SETTINGS: Mapping[str, str] = {
    **{f"CACHE_TTL_{name}": "400ms" for name in ("STATIC", "SLOW", "LIVE", "INSTANT")},
    "CACHE_MEMORY_SIZE": "200KB",
    "UPSTREAM_TIMEOUT": f"{UPSTREAM_TIMEOUT:g}s",
    "MONGODB_TIMEOUT": "1s",
    "RATE_LIMIT": "1000000/minute",
    "DOCKER_HOST": "unix:///nowhere/no-engine.sock",
    "ACCESS_LOG": "false",
}
"""Answers go stale again and again during a fault."""
_TWO_DAYS = 2 * 86_400
"""Longer than any grace: the upstream is asked before such an answer is given."""
_WORKERS = 2
_ENOUGH = 8
"""Connections made at once, of which each worker takes one or more unless luck is very bad."""


@dataclass(frozen=True)
class Props:
    """What a gateway has to do with besides the kingdom; without Redis it has one process."""

    mongo: MongoServer | None = None
    redis: RedisServer | None = None
    clock: WallClock | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    """In place of those in ``SETTINGS``."""


class Stage:
    """The processes and the harm that can be done to them.

    ``life`` is odd while the gateway is away, and never the same again after it was away.
    """

    def __init__(self, folder: Path, disk: SmallDisk | None, props: Props) -> None:
        self.life = 0
        self.killed_at: float | None = None
        """When a worker was killed last (monotonic)."""
        self.disk = disk
        self.upstream = f"http://127.0.0.1:{_port_of_our_own()}"
        self.url = f"http://127.0.0.1:{_port_of_our_own()}"
        self.answers: dict[str, bytes] = {}
        """What the kingdom says to the questions of ``KNOWN``."""
        self._folder = folder
        self._mongo, self._redis, self._clock = props.mongo, props.redis, props.clock
        self._workers = 1 if props.redis is None else _WORKERS
        self._database_name = f"chaos_{random.randrange(16**8):08x}"
        self._settings = {**SETTINGS, **props.settings, "ESTFOR_API_URL": self.upstream}
        if self._mongo is not None:
            self._settings["MONGODB_URI"] = self._mongo.uri
            self._settings["MONGODB_DATABASE"] = self._database_name
        if self._redis is not None:
            self._settings["REDIS_URL"] = self._redis.url
        if self._clock is not None:
            self._settings |= self._clock.settings
        self._processes = ExitStack()
        self._sandbox: Drawbridge | None = None
        self._gateway: Drawbridge | None = None

    def open(self) -> None:
        """Start everything; every known question was asked, and is in the store."""
        self._start_upstream()
        self._start_gateway()
        with httpx.Client(timeout=30) as client:
            for path in KNOWN:
                self.answers[path] = client.get(self.upstream + path).raise_for_status().content
                assert client.get(self.url + path).content == self.answers[path], path

    def close(self) -> None:
        """End everything; nothing if it has ended."""
        self._processes.close()
        if self._mongo is not None:
            self._mongo.start()
            with MongoClient[dict[str, object]](self._mongo.uri) as client:
                client.drop_database(self._database_name)

    @property
    def serving_pids(self) -> list[int]:
        """The processes that answer, or are about to."""
        if self._gateway is None or self._gateway.process.poll() is not None:
            return []
        pid = self._gateway.process.pid
        return [pid] if self._workers == 1 else workers_of(pid)

    @property
    def log(self) -> str:
        """What the gateway has written since it was started."""
        return "" if self._gateway is None else self._gateway.log

    async def health(self) -> list[dict[str, Any]]:
        """What the gateway says of itself; of several workers each, as good as certainly."""
        asked = 1 if self._workers == 1 else _ENOUGH
        each_its_own = httpx.Limits(max_keepalive_connections=0)
        async with httpx.AsyncClient(timeout=5, limits=each_its_own) as client:
            told = await asyncio.gather(*(client.get(f"{self.url}/health") for _ in range(asked)))
        return [one.raise_for_status().json() for one in told]

    async def times_asked(self) -> dict[str, int]:
        """How often the kingdom was asked each question since it was started."""
        async with httpx.AsyncClient(timeout=5) as client:
            report = (await client.get(f"{self.upstream}/__sandbox__/counts")).json()
        return {str(target): int(times) for target, times in report["targets"].items()}

    async def misbehave(self, **fault: Any) -> None:
        """Let the kingdom commit this fault, for every request."""
        async with httpx.AsyncClient(timeout=5) as client:
            told = await client.put(f"{self.upstream}/__sandbox__/faults", json=fault)
            told.raise_for_status()

    async def behave(self) -> None:
        """Let the kingdom answer as it should."""
        async with httpx.AsyncClient(timeout=5) as client:
            (await client.delete(f"{self.upstream}/__sandbox__/faults")).raise_for_status()

    async def kill_upstream(self) -> None:
        """End the kingdom as a crash would."""
        if self._sandbox is not None:
            await asyncio.to_thread(self._sandbox.kill)

    async def start_upstream(self) -> None:
        """Start the kingdom again; returns when it answers."""
        await asyncio.to_thread(self._start_upstream)

    async def restart_gateway(self, days_later: bool = False) -> None:
        """Kill the gateway as a crash would, and start it again.

        ``days_later``: as if it had been away so long that every answer is old.
        """
        self.life += 1
        if self._gateway is not None:
            await asyncio.to_thread(self._gateway.kill)
        if days_later:
            await self._age_the_store()
        await asyncio.to_thread(self._start_gateway)
        self.life += 1

    async def fill_disk(self) -> None:
        """Leave the SQLite store no byte to write to."""
        assert self.disk is not None
        # The log as it is could be written anew without ever growing.
        with closing(sqlite3.connect(self._database, timeout=5)) as other:
            other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        await asyncio.to_thread(self.disk.fill)

    async def empty_disk(self) -> None:
        """Undo ``fill_disk``."""
        assert self.disk is not None
        await asyncio.to_thread(self.disk.empty)

    async def kill_mongodb(self) -> None:
        """End the database as a crash would."""
        assert self._mongo is not None
        await asyncio.to_thread(self._mongo.kill)

    async def pause_mongodb(self) -> None:
        """Let the database hang, connections and all."""
        assert self._mongo is not None
        self._mongo.pause()

    async def start_mongodb(self) -> None:
        """Undo ``kill_mongodb`` and ``pause_mongodb``; returns when it answers."""
        assert self._mongo is not None
        await asyncio.to_thread(self._mongo.start)

    async def kill_redis(self) -> None:
        """End Redis as a crash would: it forgets everything."""
        assert self._redis is not None
        await asyncio.to_thread(self._redis.kill)

    async def pause_redis(self) -> None:
        """Let Redis hang, connections and all."""
        assert self._redis is not None
        self._redis.pause()

    async def start_redis(self) -> None:
        """Undo ``kill_redis`` and ``pause_redis``; returns when it answers."""
        assert self._redis is not None
        await asyncio.to_thread(self._redis.start)

    async def kill_worker(self) -> None:
        """End the worker that has lived longest as a crash would; its connections break."""
        self.killed_at = time.monotonic()
        os.kill(self.serving_pids[0], signal.SIGKILL)

    def put_clock(self, seconds: float) -> None:
        """Let the gateway's clock be ``seconds`` ahead of the right time, or behind it."""
        assert self._clock is not None
        self._clock.put(seconds)

    async def purge_everything(self) -> None:
        """Have the gateway take every answer for stale."""
        async with httpx.AsyncClient(timeout=5) as client:
            told = await client.post(f"{self.url}/cache/purge", json={"all": True})
            told.raise_for_status()

    @property
    def _database(self) -> Path:
        return self._folder / "data" / "responses.sqlite3"

    def _start_upstream(self) -> None:
        port = self.upstream.rpartition(":")[2]
        running = drawbridge(self._folder, "sandbox", "--port", port, "--players", "200")
        self._sandbox = self._processes.enter_context(running)
        self._sandbox.url()

    def _start_gateway(self) -> None:
        port = self.url.rpartition(":")[2]
        workers = () if self._workers == 1 else ("--workers", str(self._workers))
        running = drawbridge(
            self._folder, "serve", "--port", port, *workers, settings=self._settings
        )
        self._gateway = self._processes.enter_context(running)
        self._gateway.url()

    async def _age_the_store(self) -> None:
        with closing(sqlite3.connect(self._database, timeout=5)) as rows:
            keys = [str(key) for (key,) in rows.execute("SELECT key FROM responses")]
        store = SqliteStore(self._database)
        for key in keys:
            if entry := await store.get(key):
                await store.delete(key)  # an earlier entry does not replace a later one
                await store.put(replace(entry, stored_at=entry.stored_at - _TWO_DAYS))
        await store.aclose()


@contextmanager
def open_stage(folder: Path, props: Props) -> Iterator[Stage]:
    """A stage with the SQLite store on a disk of its own where that can be had, or MongoDB."""
    with small_disk(folder / "data") as disk:
        stage = Stage(folder, disk, props)
        try:
            stage.open()
            yield stage
        finally:
            stage.close()


def _port_of_our_own() -> int:
    """A free port that no outgoing connection is given: while its server is dead it stays free."""
    while True:
        port = random.randrange(20_000, 30_000)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port

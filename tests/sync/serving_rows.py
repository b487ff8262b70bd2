"""Sources and means for runs: the sandbox over HTTP, and answers that a test wrote itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import orjson

from app.errors import UpstreamError
from app.kingdom.collections import Collection
from app.kingdom.operation import Operation
from app.sync.lease import LocalLease
from app.sync.runner import Runner
from app.sync.source import Answer, Source
from app.upkeep import UpstreamSource
from app.upstream.client import UpstreamClient
from tests.sync.kept import KeptInMemory

NOW = 1_790_000_000.0


@dataclass
class Clock:
    """Stands still until somebody sleeps on it."""

    now: float = NOW
    slept: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


@dataclass
class Table:
    """A source that pages through ``rows``, or says what it is told to.

    ``before`` is called with the number of each call, from 1, before it is answered, and may
    raise; ``cap`` is how many rows it gives at most, whatever it is asked for; without ``pages``
    it always begins at the first.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    envelope: str = ""
    status: int = 200
    cap: int = 1000
    pages: bool = True
    before: Callable[[int], None] = lambda _: None
    asked: list[tuple[str, dict[str, str], dict[str, str]]] = field(default_factory=list)

    async def ask(
        self, operation: Operation, values: Mapping[str, str], query: Sequence[tuple[str, str]]
    ) -> Answer:
        given = dict(query)
        self.asked.append((operation.name, dict(values), given))
        self.before(len(self.asked))
        page = self.rows
        if "numToSkip" in given:
            skip = int(given["numToSkip"]) if self.pages else 0
            page = self.rows[skip : skip + min(int(given["numToFetch"]), self.cap)]
        body = orjson.dumps({self.envelope or operation.envelope: page})
        return Answer(self.status, "application/json", body, 0.01)


def numbered(count: int, **fields: Any) -> list[dict[str, Any]]:
    """Rows with ids from 0 on."""
    return [
        {"id": str(number), "name": f"row {number}", "level": 1, **fields}
        for number in range(count)
    ]


@dataclass
class Stage:
    """A runner with a store in memory, and what it told."""

    store: KeptInMemory
    runner: Runner
    clock: Clock
    published: list[str] = field(default_factory=list)
    proved: dict[str, list[bytes]] = field(default_factory=dict)
    ended: list[tuple[str, str, float]] = field(default_factory=list)

    def sync_ended(self, job: str, outcome: str, seconds: float) -> None:
        self.ended.append((job, outcome, seconds))


def stage(source: Source, clock: Clock | None = None, **settings: Any) -> Stage:
    """A runner on ``source``; ``settings`` are the runner's."""
    store, clock = KeptInMemory(), clock or Clock()

    async def publish(collection: str) -> int:
        made.published.append(collection)
        generation = await store.generation(collection)
        assert generation is not None
        await store.mark_published(collection, generation.number)
        return 0

    async def prove(collection: Collection, rows: Sequence[bytes]) -> Mapping[str, Any]:
        made.proved[collection.name] = list(rows)
        return {"proved": {"all": clock()}}

    async def awake() -> AbstractContextManager[object]:
        return nullcontext()

    wanted: dict[str, Any] = {
        "publish": publish,
        "prove": prove,
        "lease": LocalLease(),
        "awake": awake,
        "wall": clock,
        "clock": clock,
        **settings,
    }
    made = Stage(store, Runner(store, source, **wanted), clock)
    made.runner._observer = made
    return made


@asynccontextmanager
async def upstream_at(url: str, **settings: Any) -> AsyncIterator[UpstreamClient]:
    """A client of the upstream at ``url``."""
    wanted: dict[str, Any] = {
        "timeout": 10.0,
        "max_concurrency": 8,
        "max_body": 16_000_000,
        "user_agent": "tests",
        **settings,
    }
    async with UpstreamClient(url, **wanted) as client:
        yield client


@asynccontextmanager
async def source_at(url: str, **settings: Any) -> AsyncIterator[UpstreamSource]:
    """A source on the upstream at ``url``."""
    async with upstream_at(url, **settings) as client:
        yield UpstreamSource(client)


class Away:
    """A source that has nothing."""

    async def ask(
        self, operation: Operation, values: Mapping[str, str], query: Sequence[tuple[str, str]]
    ) -> Answer:
        raise UpstreamError("it is away")

"""The scripted upstream, a clock that only moves when told, and clients between the two."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest

from app.upstream.client import UpstreamClient
from app.upstream.exchange import UpstreamAnswer, UpstreamRequest
from tests.upstream.scripted import ScriptedUpstream, scripted_upstream


@dataclass
class ManualTime:
    """Stands still until somebody sleeps on it; remembers for how long they did."""

    now: float = 1000.0
    slept: list[float] = field(default_factory=list)

    def clock(self) -> float:
        return self.now

    def wall(self) -> float:
        return 1_700_000_000.0 + self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


@dataclass
class Notes:
    """An observer that writes down what it is told."""

    answers: list[tuple[str, int]] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    failures: list[tuple[str, str]] = field(default_factory=list)

    def answered(self, label: str, status: int, seconds: float) -> None:
        self.answers.append((label, status))
        self.seconds.append(seconds)

    def failed(self, label: str, reason: str) -> None:
        self.failures.append((label, reason))


def players(target: str = "/players?name=ada", **changes: Any) -> UpstreamRequest:
    """A GET that may be repeated; ``changes`` by field name."""
    fields: dict[str, Any] = {
        "method": "GET",
        "target": target,
        "body": None,
        "envelope": "players",
        "repeatable": True,
        "label": "players",
    }
    return UpstreamRequest(**(fields | changes))


@pytest.fixture
async def upstream() -> AsyncIterator[ScriptedUpstream]:
    async with scripted_upstream() as server:
        yield server


@pytest.fixture
def manual_time() -> ManualTime:
    return ManualTime()


@pytest.fixture
def notes() -> Notes:
    return Notes()


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as exits:
        yield exits


@pytest.fixture
async def client(
    upstream: ScriptedUpstream, manual_time: ManualTime, notes: Notes, stack: AsyncExitStack
) -> UpstreamClient:
    """A client of the scripted upstream with ten seconds, two slots and 1 MB, on manual time."""
    return await stack.enter_async_context(
        client_of(upstream.base_url, manual_time=manual_time, observer=notes)
    )


def client_of(
    base_url: str, *, manual_time: ManualTime | None = None, **changes: Any
) -> UpstreamClient:
    """A client that is not open yet; ``changes`` by the constructor's names."""
    values: dict[str, Any] = {
        "timeout": 10.0,
        "max_concurrency": 2,
        "max_body": 1_000_000,
        "user_agent": "drawbridge/0 (tests)",
        "rng": random.Random(7),
    }
    if manual_time is not None:
        values |= {
            "clock": manual_time.clock,
            "wall": manual_time.wall,
            "sleep": manual_time.sleep,
        }
    return UpstreamClient(base_url, **(values | changes))


@pytest.fixture
async def eight(
    upstream: ScriptedUpstream, manual_time: ManualTime, notes: Notes, stack: AsyncExitStack
) -> UpstreamClient:
    """A client with eight slots on manual time."""
    return await stack.enter_async_context(
        client_of(upstream.base_url, manual_time=manual_time, max_concurrency=8, observer=notes)
    )


def ask(client: UpstreamClient, count: int = 1, **changes: Any) -> list[asyncio.Task[Any]]:
    """Calls that are under way; the word ``background`` is for ``fetch``."""
    background = changes.pop("background", False)
    return [
        asyncio.create_task(client.fetch(players(**changes), background=background))
        for _ in range(count)
    ]


async def outcomes(calls: list[asyncio.Task[Any]]) -> list[UpstreamAnswer | BaseException]:
    ended: list[UpstreamAnswer | BaseException] = await asyncio.gather(
        *calls, return_exceptions=True
    )
    return ended


async def kinds(calls: list[asyncio.Task[Any]]) -> Counter[str]:
    return Counter(type(outcome).__name__ for outcome in await outcomes(calls))

"""In-memory edges for the cache's tests: an upstream that is told what to do, a clock, a gate."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field

from app.cache.key import RequestKey, canonicalise
from app.errors import ContainerFailed, UpstreamError
from app.kingdom.catalogue import Catalogue


@dataclass(frozen=True)
class Answer:
    """What the upstream says."""

    status: int = 200
    content_type: str = "application/json; charset=utf-8"
    body: bytes = b'{"players":[]}'
    seconds: float = 0.01
    as_of: float | None = None


class ScriptedUpstream:
    """Answers as told, counts what it is asked, and can be held back."""

    def __init__(self) -> None:
        self.answer: Answer | UpstreamError = Answer()
        self.asked: list[str] = []
        self.behind: list[bool] = []
        self.flowing = asyncio.Event()
        self.flowing.set()

    async def fetch(self, key: RequestKey, *, background: bool) -> Answer:
        self.asked.append(key.title)
        self.behind.append(background)
        await self.flowing.wait()
        if isinstance(self.answer, UpstreamError):
            raise self.answer
        return self.answer


class Clock:
    """Time that moves when told to; both the wall's and the monotonic one."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@dataclass
class SwitchedGate:
    """A gate that is opened and closed by the test."""

    is_open: bool = True
    wakes: int = 0
    leases: int = 0
    broken: bool = False
    _opened: asyncio.Event = field(default_factory=asyncio.Event)

    def enter(self) -> AbstractContextManager[object] | None:
        if self.is_open:
            return self._lease()
        self.wakes += 1
        return None

    async def open(self) -> AbstractContextManager[object]:
        if self.broken:
            raise ContainerFailed("mongodb", "it does not start")
        while not self.is_open:
            self.wakes += 1
            await self._opened.wait()
        return self._lease()

    async def borrow(self) -> AbstractContextManager[object]:
        return await self.open()

    def unlock(self) -> None:
        self.is_open = True
        self._opened.set()

    @contextmanager
    def _lease(self) -> Iterator[None]:
        self.leases += 1
        try:
            yield
        finally:
            self.leases -= 1


def key(path: str = "/players", query: str = "") -> RequestKey:
    """The key of a GET request."""
    return canonicalise(Catalogue().at(path)[0], query.encode()).key

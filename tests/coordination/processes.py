"""Several processes as far as Redis can tell: each has its own client, and hears what is told."""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from app.coordination.link import Door, OpenDoor, RedisLink, connect
from app.coordination.together import Together


@dataclass
class Ear:
    """Keeps what it hears (``app.coordination.together.Listener``)."""

    processes: int = 0
    lines: list[bytes] = field(default_factory=list)
    missing: int = 0
    held: set[str] = field(default_factory=set)
    answers: list[bytes] = field(default_factory=list)
    pauses: list[tuple[float, int]] = field(default_factory=list)

    def counted(self, processes: int) -> None:
        self.processes = processes

    def read(self, line: bytes) -> None:
        self.lines.append(line)

    def missed(self) -> None:
        self.missing += 1

    def holds(self, key: str) -> bool:
        return key in self.held

    def landed(self, packed: bytes) -> None:
        self.answers.append(packed)

    def paused(self, seconds: float, status: int) -> None:
        self.pauses.append((seconds, status))


class Text:
    """Hands on text, and takes over whatever lies ready if ``takes_old`` says so."""

    def __init__(self, takes_old: bool = False) -> None:
        self.takes_old = takes_old

    def pack(self, result: str) -> bytes | None:
        return result.encode() if len(result) < 100 else None

    def read(self, packed: bytes, *, awaited: bool) -> str | None:
        return packed.decode() if awaited or self.takes_old else None

    def is_news(self, result: str) -> bool:
        return not result.startswith("failure")


@dataclass
class Process:
    """One process: what it does together with others, and what it heard."""

    together: Together
    ear: Ear

    @property
    def link(self) -> RedisLink:
        return self.together.link


@asynccontextmanager
async def company(
    url: str, count: int = 2, *, door: Door | None = None, realm: str = ""
) -> AsyncIterator[list[Process]]:
    """``count`` processes that meet at the Redis at ``url``, in a realm that no other test has."""
    realm = realm or f"test:{uuid.uuid4().hex}"
    async with AsyncExitStack() as parts:
        processes = []
        for _ in range(count):
            redis = await parts.enter_async_context(connect(url))
            link = RedisLink(redis, door or OpenDoor(), time.monotonic)
            process = Process(Together(link, realm=realm), Ear())
            parts.push_async_callback(process.together.aclose)
            await process.together.join(process.ear)
            processes.append(process)
        yield processes

"""The way to the Redis that processes meet at, which may be asleep, slow or dead.

Whoever asks is told within a moment, the answer or that there is none: nothing that a client
waits for hangs on Redis.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol, TypeVar

import structlog
from redis.asyncio import Redis, from_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

_log = structlog.get_logger(__name__)
T = TypeVar("T")
PATIENCE = 0.25
"""Seconds that Redis has to answer."""
PAUSE = 1.0
"""Seconds for which it is left alone after it did not."""
AT_ONCE = 16
"""Calls under way at once; each holds a connection."""


class Door(Protocol):
    """Says whether Redis is up."""

    @property
    def is_open(self) -> bool:
        """Whether it can be asked now; looking wakes nobody."""

    def enter(self) -> AbstractContextManager[object] | None:
        """What keeps it up while it is used; ``None``: it sleeps, and is being woken."""

    async def open(self) -> AbstractContextManager[object]:
        """The same once it is up, woken if it sleeps. Raises ``ContainerError``."""


class OpenDoor:
    """For a Redis that is always up."""

    is_open = True

    def enter(self) -> AbstractContextManager[object]:
        """Nothing keeps it up: nobody stops it."""
        return nullcontext()

    async def open(self) -> AbstractContextManager[object]:
        """The same: nobody has to wake it."""
        return nullcontext()


FAILURES = (RedisError, OSError)
"""What a call to Redis raises when it fails."""


def connect(url: str) -> Redis:
    """A client of the Redis at ``url``, not connected yet; closed by whoever asked for it."""
    # Once more, and at once: the first call after a restart finds a connection that is dead.
    return from_url(
        url, socket_timeout=5, socket_connect_timeout=1, retry=Retry(NoBackoff(), retries=1)
    )


class Away(Exception):
    """Raised when Redis cannot be asked now; each process works by itself then."""


async def in_time(ask: Callable[[], Awaitable[T]], within: float) -> T:
    """What ``ask`` gives within so many seconds, or ``TimeoutError``.

    The client loses a cancellation that comes in the moment in which it has sent a command, as
    ``asyncio.wait_for`` does before Python 3.12. It is heeded here: a task that goes on for ever
    would never end.
    """
    task = asyncio.current_task()
    before = task.cancelling() if task else 0
    async with asyncio.timeout(within):
        answer = await ask()
    if task and task.cancelling() > before:
        raise asyncio.CancelledError
    return answer


class RedisLink:
    """Calls to one Redis; ``clock`` is monotonic. ``redis`` is closed by whoever made it."""

    def __init__(self, redis: Redis, door: Door, clock: Callable[[], float]) -> None:
        self.redis = redis
        self.door: Door = door
        self._clock = clock
        self._rests_until = -math.inf
        self._turns = asyncio.Semaphore(AT_ONCE)
        self.is_away = False

    async def call(self, ask: Callable[[], Awaitable[T]]) -> T:
        """What Redis says; woken for it if it sleeps, but not waited for. Raises ``Away``."""
        lease = self.door.enter()
        if lease is None:
            raise Away("it is asleep")
        with lease:
            return await self.look(ask)

    async def look(self, ask: Callable[[], Awaitable[T]]) -> T:
        """The same, which is no use of Redis: it may go on sleeping, or fall asleep."""
        if not self.door.is_open:
            raise Away("it is asleep")
        if self._clock() < self._rests_until:
            raise Away("it was away a moment ago")
        async with self._turns:
            try:
                answer = await in_time(ask, PATIENCE)
            except FAILURES as error:
                self._note_away(str(error) or f"no answer within {PATIENCE:g} s")
                raise Away(str(error)) from None
        self._note_back()
        return answer

    def wake(self) -> None:
        """Have Redis woken if it sleeps."""
        with self.door.enter() or nullcontext():
            return

    def _note_away(self, reason: str) -> None:
        self._rests_until = self._clock() + PAUSE
        if not self.is_away:
            self.is_away = True
            _log.warning("no word from redis: each process works by itself", reason=reason)

    def _note_back(self) -> None:
        if self.is_away:
            self.is_away = False
            _log.info("redis is back: processes work together again")

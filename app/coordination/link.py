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
from redis.exceptions import AuthenticationError, RedisError
from redis.maint_notifications import MaintNotificationsConfig

from app.coordination.patience import in_time

_log = structlog.get_logger(__name__)
T = TypeVar("T")
PATIENCE = 0.25
"""Seconds that Redis has to answer, as ``patience`` counts them."""
PAUSE = 1.0
"""Seconds for which it is left alone after it did not."""
AT_ONCE = 16
"""Calls under way at once; each holds a connection."""
RENEW = """
if redis.call('GET', KEYS[1]) == ARGV[1] then
  return redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return 0
"""
"""A script: the lease at the key lasts so many milliseconds more, if this token still holds it."""


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
    return from_url(
        url,
        # Who asks has a time limit of its own. With this one the client would send through
        # ``asyncio.wait_for``, which in Python 3.11 can lose a cancellation: of ours, for ever.
        socket_timeout=None,
        socket_connect_timeout=1,
        # A question more for each connection, that only a managed Redis understands.
        maint_notifications_config=MaintNotificationsConfig(enabled=False),
        # Once more, and at once: the first call after a restart finds a connection that is dead.
        retry=Retry(NoBackoff(), retries=1),
    )


def reason_of(error: BaseException, seconds: float = PATIENCE) -> str:
    """Why Redis did not answer within ``seconds``; never what it was told as a password."""
    if isinstance(error, AuthenticationError):
        return "it does not take our name and password"
    return str(error) or f"no answer within {seconds:g} s"


class Away(Exception):
    """Raised when Redis cannot be asked now; each process works by itself then."""


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
                reason = reason_of(error)
                self._note_away(reason)
                raise Away(reason) from None
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

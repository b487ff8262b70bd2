"""Who else is there, and what must reach everybody: a heartbeat, and a log with numbered lines.

Each process says each second that it lives, and hears how many do and what was written to the log
since. A line that is lost (the log was cut, Redis forgot it) is noticed by its number.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable
from typing import Protocol

import structlog

from app.coordination.link import Away, RedisLink
from app.owned_task import OwnsTask
from app.waiting import set_within

_log = structlog.get_logger(__name__)
BEAT = 1.0
ALIVE = 5.0
"""Seconds after its last beat for which a process counts."""
SETTLED = 3
"""Beats after which everybody else has found a Redis that was away, or forgot who is there."""
_LINES = 10_000
"""About so many lines the log keeps."""
_READ = 500
_MOST_UNTOLD = 1_000

_BEAT = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local is_new = redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[2])
redis.call('PUBLISH', ARGV[3], 'beat')
local lines = redis.call('XRANGE', KEYS[2], '(' .. ARGV[4], '+', 'COUNT', ARGV[5])
return {redis.call('ZRANGE', KEYS[1], 0, -1), lines, is_new}
"""
_WRITE = """
local number = redis.call('INCR', KEYS[2])
redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[3], '*',
           'number', number, 'by', ARGV[1], 'line', ARGV[2])
redis.call('PUBLISH', ARGV[4], 'written')
return number
"""


class Member(Protocol):
    """What a process does about what it hears. Must not raise or block."""

    def counted(self, processes: int) -> None:
        """So many live, this one included."""

    def read(self, line: bytes) -> None:
        """Another process wrote this to the log."""

    def missed(self) -> None:
        """Lines were written that nobody can read any more."""


class Company(OwnsTask):
    """One process among others, while it is entered.

    ``on_entered`` is told when it begins to count, or does again after it was taken for dead or
    could not tell: what was decided meanwhile, was decided without it. Must not raise or block.
    """

    task_name = "company"

    def __init__(
        self,
        link: RedisLink,
        member: Member,
        *,
        prefix: str,
        channel: str,
        name: str,
        on_entered: Callable[[], None] | None = None,
    ) -> None:
        self.names: frozenset[str] = frozenset([name])
        """Those that live, this one included, as of the last beat."""
        self.tried = asyncio.Event()
        """Set when the first beat was heard, or could not be."""
        self._entered_at = math.inf
        self._beaten_at = -math.inf
        self._on_entered = on_entered
        self._link = link
        self._member = member
        self._channel = channel
        self._name = name
        self._members = f"{prefix}:processes"
        self._lines = f"{prefix}:log"
        self._numbers = f"{prefix}:log-number"
        self._beat = link.redis.register_script(_BEAT)
        self._write = link.redis.register_script(_WRITE)
        self._read_until = "0-0"
        self._number: int | None = None
        self._untold: deque[bytes] = deque(maxlen=_MOST_UNTOLD)
        self._hurry = asyncio.Event()

    async def __aexit__(self, *left: object) -> None:
        await super().__aexit__(*left)
        try:
            await self._tell()
            await self._link.look(lambda: self._link.redis.zrem(self._members, self._name))
        except Away:
            _log.debug("left without a word")

    @property
    def untold(self) -> int:
        """Lines that are not in the log yet."""
        return len(self._untold)

    async def settle(self) -> None:
        """Wait until everybody who lives has had the time to say so. Raises ``Away``."""
        loop = asyncio.get_running_loop()
        while (left := self._entered_at + SETTLED * BEAT - loop.time()) > 0:
            if math.isinf(left):
                raise Away("it is not known who else is there")
            await asyncio.sleep(left)

    async def call_the_roll(self) -> frozenset[str]:
        """The names of those that live, this one included, as of now. Raises ``Away``."""
        names = await self._link.look(lambda: self._link.redis.zrange(self._members, 0, -1))
        return frozenset(name.decode() for name in names if isinstance(name, bytes))

    def write(self, line: bytes) -> None:
        """Have ``line`` read by every process, some time soon."""
        self._untold.append(line)
        self._hurry.set()

    def look_now(self) -> None:
        """Do not wait for the next beat: there may be something to read."""
        self._hurry.set()

    async def _run(self) -> None:
        while True:
            self._hurry.clear()
            try:
                await self._tell()
                while await self._listen():
                    pass
            except Away:
                self._entered_at = math.inf
                self.tried.set()
                await asyncio.sleep(BEAT)
                continue
            await set_within(self._hurry, BEAT)

    async def _tell(self) -> None:
        while self._untold:
            await self._write_down(self._untold[0])
            self._untold.popleft()

    async def _write_down(self, line: bytes) -> None:
        arguments: list[str | bytes | int] = [self._name, line, _LINES, self._channel]
        await self._link.call(lambda: self._write([self._lines, self._numbers], arguments))

    async def _listen(self) -> bool:
        """Beat, and read; whether there may be more to read."""
        arguments: list[str | int]
        arguments = [self._name, int(ALIVE * 1000), self._channel, self._read_until, _READ]
        names, lines, is_new = await self._link.look(
            lambda: self._beat([self._members, self._lines], arguments)
        )
        self.names = frozenset(name.decode() for name in names)
        self._note_beat(bool(is_new))
        self._member.counted(len(names))
        for identity, fields in lines:
            self._read(identity.decode(), dict(zip(fields[::2], fields[1::2], strict=True)))
        return len(lines) == _READ

    def _note_beat(self, is_new: bool) -> None:
        now = asyncio.get_running_loop().time()
        # The client may have said it twice, of which only the first time was new.
        late = now - self._beaten_at > ALIVE / 2
        self._beaten_at = now
        if is_new or late or math.isinf(self._entered_at):
            self._entered_at = now
            if self._on_entered is not None:
                self._on_entered()
        self.tried.set()

    def _read(self, identity: str, fields: dict[bytes, bytes]) -> None:
        self._read_until = identity
        number = int(fields[b"number"])
        if self._number is not None and number != self._number + 1:
            _log.warning("lines of the log were lost", after=self._number, until=number)
            self._member.missed()
        self._number = number
        if fields[b"by"] != self._name.encode():
            self._member.read(fields[b"line"])

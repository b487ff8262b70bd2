"""One run of a sync job at a time, and one message about it, among all that share a Redis.

Under ``{realm}:job:NAME``: ``:lease`` is held by whoever runs it, ``:sent`` is there as long as a
message that asks for a run waits for a worker. ``{realm}:jobs:begun`` tells which runs have begun
and not ended: one whose lease is gone was left behind by a process that died. The messages stand
in the list ``queue_name``; those that a worker has taken and not acknowledged in ``taken_index``.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from app.coordination.lease import Lease
from app.coordination.link import Away, RedisLink
from app.errors import JobBusy, JobLost

LEASE = 10.0
"""Seconds for which the process that runs a job need not be heard of."""
WAITS = 600.0
"""Seconds for which a message may wait for a worker; then it is void, and another is sent."""

JUST_TAKEN = 60.0
"""Seconds after it was taken for which a message alone says that a worker is at work: by then the
job has begun and holds its lease, or the worker is dead."""
MOST_WAITING = 100
"""Messages in the queue; more are not sent."""

_BEGIN = """
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('DEL', KEYS[2])
"""
_END = """
if redis.call('HGET', KEYS[1], ARGV[1]) == ARGV[2] then
  redis.call('HDEL', KEYS[1], ARGV[1])
end
"""
_ORPHANS = """
local left = {}
for _, job in ipairs(redis.call('HKEYS', KEYS[1])) do
  if redis.call('EXISTS', ARGV[1] .. job .. ':lease') == 0 then
    redis.call('HDEL', KEYS[1], job)
    left[#left + 1] = job
  end
end
return left
"""
_CLAIM = """
if redis.call('EXISTS', KEYS[1]) == 1 or redis.call('LLEN', KEYS[3]) >= tonumber(ARGV[2]) then
  return 0
end
if redis.call('SET', KEYS[2], '1', 'NX', 'PX', ARGV[1]) then
  return 1
end
return 0
"""


def queue_name(realm: str) -> str:
    """The list in Redis in which messages about the jobs of ``realm`` wait for workers."""
    return f"{realm}:jobs"


def taken_index(realm: str) -> str:
    """The sorted set of messages that workers have taken, by the wall time when they did."""
    return f"{realm}:jobs:taken-at"


class JobLeases:
    """What processes of one ``realm`` agree on about their jobs. ``link`` leads to their Redis."""

    def __init__(self, link: RedisLink, *, realm: str) -> None:
        self._link = link
        self._jobs = f"{realm}:job:"
        self._begun = f"{realm}:jobs:begun"
        self._queue, self._taken = queue_name(realm), taken_index(realm)
        register = link.redis.register_script
        self._begin, self._end = register(_BEGIN), register(_END)
        self._left_behind, self._claim = register(_ORPHANS), register(_CLAIM)

    @asynccontextmanager
    async def lease(self, job: str) -> AsyncIterator[None]:
        """Hold ``job`` while the block runs.

        Raises ``JobBusy`` if another process has it, or if Redis cannot say whether one has: if it
        sleeps, it is woken for the next attempt, and kept up while the job is held. Should it be
        lost on the way, the block is cancelled and ``JobLost`` raised in its place.
        """
        body, lost = asyncio.current_task(), list[str]()
        if body is None:
            raise RuntimeError("a lease is taken inside a task")
        cancels = body.cancelling()

        def note_lost(reason: str) -> None:
            lost.append(reason)
            body.cancel()

        lease = Lease(self._link, self._key(job), seconds=LEASE, take_again=True, on_lost=note_lost)
        kept_up = self._link.door.enter()
        if kept_up is None:
            raise JobBusy(f"whether another process runs {job} is not known: Redis is asleep")
        with kept_up:
            await self._take(job, lease)
            try:
                yield
            except asyncio.CancelledError:
                if lost and body.uncancel() <= cancels:
                    raise JobLost(f"{job} was given up: {lost[0]}") from None
                raise
            finally:
                await self._finish(job, lease)

    async def claim(self, job: str) -> bool:
        """Whether to send a message about ``job``: nobody runs it, and none waits. Raises ``Away``.

        Whoever is told so and cannot send it must call ``answered``.
        """
        keys = [self._key(job), self._sent(job), self._queue]
        arguments = [int(WAITS * 1000), MOST_WAITING]
        return bool(await self._link.call(lambda: self._claim(keys, arguments)))

    async def answered(self, job: str) -> None:
        """There is no message about ``job`` any more. If Redis is away, that is seen in time."""
        try:
            await self._link.look(lambda: self._link.redis.delete(self._sent(job)))
        except Away:
            return

    async def orphans(self) -> list[str]:
        """The jobs whose runs were left behind; each is told once. Raises ``Away``."""
        found = await self._link.look(lambda: self._left_behind([self._begun], [self._jobs]))
        return [name.decode() for name in found]

    async def under_way(self, jobs: Sequence[str], now: float) -> int:
        """How many messages wait or were just taken, and how many of ``jobs`` are run, at the wall
        time ``now``: with 0 no worker has anything to do. Raises ``Away``.
        """

        async def ask() -> list[int]:
            async with self._link.redis.pipeline(transaction=True) as pipeline:
                pipeline.llen(self._queue)
                pipeline.zcount(self._taken, now - JUST_TAKEN, "+inf")
                pipeline.exists(*(self._key(job) for job in jobs))
                return await pipeline.execute()

        return sum(await self._link.look(ask))

    async def _take(self, job: str, lease: Lease) -> None:
        try:
            if not await lease.take():
                raise JobBusy(f"{job} is run by another process")
            keys, arguments = [self._begun, self._sent(job)], [job, lease.token]
            await self._link.look(lambda: self._begin(keys, arguments))
        except Away as away:
            lease.let_run_out()
            reason = f"whether another process runs {job} is not known: {away}"
            raise JobBusy(reason) from None
        except asyncio.CancelledError:
            lease.let_run_out()
            raise

    async def _finish(self, job: str, lease: Lease) -> None:
        # Shielded from whoever wants this task to end: the next run waits for it.
        ending = asyncio.ensure_future(self._give_back(job, lease))
        try:
            await asyncio.shield(ending)
        except asyncio.CancelledError:
            await asyncio.wait({ending})
            raise

    async def _give_back(self, job: str, lease: Lease) -> None:
        try:
            await self._link.look(lambda: self._end([self._begun], [job, lease.token]))
        except Away:
            # It will be taken for left behind, and the job looked at once more.
            lease.let_run_out()
        await lease.give_back()

    def _key(self, job: str) -> str:
        return f"{self._jobs}{job}:lease"

    def _sent(self, job: str) -> str:
        return f"{self._jobs}{job}:sent"

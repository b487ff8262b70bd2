"""Quotas that hold across processes: what each of them counted is added up in Redis.

No request waits for it. Every process counts by itself, and some times a second tells Redis what
it counted since and hears what all of them did together. While Redis is away it goes on by itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from itertools import islice

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from app.middleware.quota import ClientQuotas, Tally
from app.owned_task import OwnsTask

_log = structlog.get_logger(__name__)
PERIOD = 0.1
"""Seconds between two exchanges: so late does one process hear of what another counted."""
PATIENCE = 0.25
"""Seconds that Redis has to answer."""
PAUSE = 1.0
"""Seconds that Redis is left alone after it did not."""
_BATCH = 250
"""Clients told about in one call; building it keeps the loop for a millisecond or two."""
_PREFIX = "drawbridge:quota"

# The same arithmetic as ``Tally.roll`` and ``Tally.add``, on Redis' own clock: no two processes
# need to agree about the time.
_ADD = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local totals = {}
for i, key in ipairs(KEYS) do
  local window, cost = ARGV[2 * i - 1] * 1000, tonumber(ARGV[2 * i])
  local known = redis.call('HMGET', key, 'started', 'current', 'previous')
  local started = tonumber(known[1]) or now
  local current, previous = tonumber(known[2]) or 0, tonumber(known[3]) or 0
  local passed = now - started
  if passed >= 2 * window or passed < 0 then
    started, current, previous = now, 0, 0
  elseif passed >= window then
    started, current, previous = started + window, 0, current
  end
  current = math.max(0, current + cost)
  redis.call('HSET', key, 'started', string.format('%.0f', started),
             'current', current, 'previous', previous)
  redis.call('PEXPIRE', key, 2 * window)
  totals[i] = {started + window - now, current, previous}
end
return totals
"""


class SharedQuotas(OwnsTask):
    """Keeps ``quotas`` in step with those of the other processes on ``redis`` while it is entered.

    Leaving tells Redis the last and stops. ``redis`` is closed
    by whoever made it. ``enter`` gives what keeps Redis up while it is told something, or
    ``None``: it sleeps and is being woken, and what was counted waits.
    """

    task_name = "shared-quotas"

    def __init__(
        self,
        quotas: ClientQuotas,
        redis: Redis,
        *,
        period: float = PERIOD,
        enter: Callable[[], AbstractContextManager[object] | None] = nullcontext,
    ) -> None:
        self._enter = enter
        self.alone = False
        """Whether Redis is away, and this process counts for itself."""
        self._quotas = quotas
        self._touched = quotas.note_touched()
        self._add = redis.register_script(_ADD)
        self._period = period

    async def __aexit__(self, *left: object) -> None:
        await super().__aexit__(*left)
        await self.exchange()

    async def exchange(self) -> None:
        """Tell Redis what was counted since the last time, and take over what all did."""
        lease = self._enter() if self._touched else None
        if lease is not None:
            with lease:
                await self._tell_all()

    async def _tell_all(self) -> None:
        while self._touched:
            batch = list(self._take_touched())
            try:
                async with asyncio.timeout(PATIENCE):
                    totals = await self._add(*_arguments(batch))
            except (RedisError, OSError) as error:
                # Redis may have heard it all the same, so the batch is not told again: counted
                # twice, it would be held against the clients.
                self._is_away(error)
                return
            self._is_back()
            now = self._quotas.clock()
            for (_, tally, _), (left, current, previous) in zip(batch, totals, strict=True):
                tally.adopt(left / 1000, current, previous, now)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(PAUSE if self.alone else self._period)
            await self.exchange()

    def _take_touched(self) -> Iterator[tuple[str, Tally, int]]:
        now = self._quotas.clock()
        for client in list(islice(self._touched, _BATCH)):
            for tally in self._touched.pop(client):
                tally.roll(now)
                yield f"{_PREFIX}:{client}:{tally.limit.window}", tally, tally.tell()

    def _is_away(self, error: Exception) -> None:
        if not self.alone:
            self.alone = True
            _log.warning("rate limits hold for each process alone", reason=_reason(error))

    def _is_back(self) -> None:
        if self.alone:
            self.alone = False
            _log.info("rate limits are shared again")


def _arguments(batch: list[tuple[str, Tally, int]]) -> tuple[list[str], list[int]]:
    """Keys, and for each of them its window and what is to be added."""
    numbers = [number for _, tally, untold in batch for number in (tally.limit.window, untold)]
    return [key for key, _, _ in batch], numbers


def _reason(error: Exception) -> str:
    return str(error) or f"no answer within {PATIENCE:g} s"

"""What several gateways agree on through Redis, in virtual time: the right to stop a container.

A model of ``app/coordination/rights.py``: one holder at a time, who asks everybody that lives, and
whose right runs out when it has not been heard of for ``LEASE`` seconds. Who comes later looks.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

from app.coordination.rights import LEASE, VOTE, Gateway
from tests.containers.simulation.clock import VirtualClock

SURE = 0.8 * LEASE
"""The holder stops to believe in its right before Redis does."""
FORGOTTEN_AFTER = 5.0
"""Seconds for which one that died is still waited for."""


class Redis:
    """What is in there, who is there, and whether it can be reached."""

    def __init__(self, clock: VirtualClock, rng: random.Random) -> None:
        self.clock = clock
        self.away = False
        self.voters: dict[str, Gateway | None] = {}
        """By gateway; ``None`` does not answer."""
        self._held: dict[str, Held] = {}
        self._changed = asyncio.Event()
        self._rng = rng

    def join(self, gateway: str, voter: Gateway) -> None:
        """From now on it is asked; what was granted before, it is told."""
        self.voters[gateway] = voter
        for container_id in voter.container_ids():
            if self.holder(container_id) not in (None, gateway):
                voter.yield_to_stop(container_id)

    def leave(self, gateway: str) -> None:
        """It says good-bye."""
        self.voters.pop(gateway, None)

    def die(self, gateway: str) -> None:
        """It does not answer any more, and is forgotten after a while."""
        self.voters[gateway] = None
        self.clock.call_later(FORGOTTEN_AFTER, self._forget, gateway)

    async def latency(self) -> None:
        """There, or back."""
        await asyncio.sleep(self._rng.choice((0.0, 0.001, 0.02)))

    def holder(self, container_id: str) -> str | None:
        """Whose right it is now."""
        held = self._held.get(container_id)
        return None if held is None else held.name

    def take(self, container_id: str, holder: Held) -> bool:
        """Whether it is the holder's now."""
        if self.away or container_id in self._held:
            return False
        self._held[container_id] = holder
        return True

    def give_back(self, container_id: str, holder: Held) -> None:
        """Unless somebody else has it."""
        if self._held.get(container_id) is holder:
            del self._held[container_id]
            self._changed.set()
            self._changed = asyncio.Event()

    async def until_free(self, container_id: str) -> None:
        """While Redis is away nobody can say."""
        while self.away or container_id in self._held:
            try:
                async with asyncio.timeout(0.25):
                    await self._changed.wait()
            except TimeoutError:
                continue

    def _forget(self, gateway: str) -> None:
        if self.voters.get(gateway, self) is None:
            del self.voters[gateway]


class Rights:
    """The ``Peers`` of one gateway in one life; ``alive`` says whether it still renews what it
    holds."""

    def __init__(self, redis: Redis, name: str, alive: Callable[[], bool]) -> None:
        self._redis = redis
        self._name = name
        self._alive = alive

    async def ask(self, container_id: str, *, wish: bool) -> Held | None:
        """The right to stop it, if all others agree."""
        held = Held(self._redis, container_id, self._name, self._alive)
        await self._redis.latency()
        if not self._redis.take(container_id, held):
            return None
        held.renew()
        try:
            agreed = await self._all_agree(container_id, wish)
        except asyncio.CancelledError:
            held.let_run_out()
            raise
        if agreed:
            return held
        await held.give_back()
        return None

    async def _all_agree(self, container_id: str, wish: bool) -> bool:
        asked = {self._name}
        while others := [name for name in self._redis.voters if name not in asked]:
            for name in others:
                voter = self._redis.voters.get(name)
                await self._redis.latency()
                if voter is None or self._redis.away or self._redis.voters.get(name) is not voter:
                    await asyncio.sleep(VOTE)
                    return False
                if not voter.let_stop(container_id, wish=wish):
                    return False
                asked.add(name)
            await self._redis.latency()
        return True

    async def is_taken(self, container_id: str) -> bool:
        """Whether another has the right; while Redis is away nobody can say."""
        await self._redis.latency()
        holder = self._redis.holder(container_id)
        return not self._redis.away and holder not in (None, self._name)

    async def given_back(self, container_id: str) -> None:
        """Returns when nobody has the right."""
        await self._redis.until_free(container_id)


class Held:
    """The right to stop one container."""

    def __init__(
        self, redis: Redis, container_id: str, name: str, alive: Callable[[], bool]
    ) -> None:
        self.name = name
        self._redis = redis
        self._container_id = container_id
        self._alive = alive
        self._returned = False
        self._heard_at = redis.clock.time()

    def renew(self) -> None:
        """As long as the holder lives and Redis hears it; then it runs out."""
        redis = self._redis
        if self._returned:
            return
        if self._alive() and not redis.away:
            self._heard_at = redis.clock.time()
        elif redis.clock.time() - self._heard_at >= LEASE:
            redis.give_back(self._container_id, self)
            return
        redis.clock.call_later(LEASE / 5, self.renew)

    @property
    def holds(self) -> bool:
        """Whether nobody else can have it: it was renewed not long ago."""
        return not self._returned and self._redis.clock.time() - self._heard_at < SURE

    async def give_back(self) -> None:
        """If Redis is away, it runs out by itself."""
        self.let_run_out()
        await self._redis.latency()
        if not self._redis.away:
            self._returned = True
            self._redis.give_back(self._container_id, self)

    def let_run_out(self) -> None:
        """Nobody renews it any more."""
        self._alive = lambda: False

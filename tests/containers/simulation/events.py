"""How the engine's events reach those who listen: late, lost, doubled, out of order."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from app.containers.observed import EngineEvent, EngineTimeout
from tests.containers.simulation.clock import VirtualClock

LATEST = 3.0


@dataclass(frozen=True, slots=True)
class Noise:
    """How many of the events are lost, come twice, or come up to ``LATEST`` seconds late."""

    lost: float = 0.0
    doubled: float = 0.0
    late: float = 0.0


class Subscription:
    """One listener's events; stands in for ``app.containers.engine.EventStream``."""

    def __init__(
        self,
        clock: VirtualClock,
        rng: random.Random,
        noise: Noise,
        recalled: Iterable[EngineEvent],
    ) -> None:
        self._clock = clock
        self._rng = rng
        self.noise = noise
        self._events = deque(recalled)
        self._ended = False
        self._reader: asyncio.Future[None] | None = None

    async def next(self, within: float) -> EngineEvent | None:
        """The next event; ``None`` at the end, ``EngineTimeout`` after so long a silence."""
        while not self._events:
            if self._ended:
                return None
            reader = self._reader = self._clock.create_future()
            silence = self._clock.call_later(within, self._wake, EngineTimeout("silence"))
            try:
                await reader
            finally:
                silence.cancel()
                self._reader = None
        return self._events.popleft()

    def close(self) -> None:
        """Nothing is heard any more."""
        self._events.clear()
        self.end()

    def end(self) -> None:
        """What was heard before can still be read."""
        self._ended = True
        self._wake(None)

    def hear(self, event: EngineEvent) -> None:
        """It is sent; whether and when it arrives is another matter."""
        noise, rng = self.noise, self._rng
        if not (noise.lost or noise.doubled or noise.late):
            self._clock.call_soon(self._arrived, event)
            return
        if rng.random() < noise.lost:
            return
        for _ in range(2 if rng.random() < noise.doubled else 1):
            late = rng.random() * LATEST if rng.random() < noise.late else 0.0
            self._clock.call_later(late, self._arrived, event)

    def _arrived(self, event: EngineEvent) -> None:
        if not self._ended:
            self._events.append(event)
            self._wake(None)

    def _wake(self, error: Exception | None) -> None:
        if self._reader is not None and not self._reader.done():
            if error is None:
                self._reader.set_result(None)
            else:
                self._reader.set_exception(error)

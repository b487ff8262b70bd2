"""An event loop whose time is not the world's: where all wait, it is at once as late as they wish.

What takes minutes is over in milliseconds, and takes the same course each time.
"""

from __future__ import annotations

import asyncio
import random
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

from app.upstream.breaker import BreakerPolicy
from app.upstream.calls import Calls, Exchange
from app.upstream.exchange import SilentObserver

MOST = 8
T = TypeVar("T")


class _Jump(selectors.SelectSelector):
    """Lets the time pass that others would spend waiting."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        assert timeout is not None, "everybody waits for something that never comes"
        self.now += max(0.0, timeout)
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """For what meets neither sockets nor threads."""

    def __init__(self) -> None:
        self._jump = _Jump()
        super().__init__(self._jump)

    def time(self) -> float:
        return self._jump.now


def in_virtual_time(play: Coroutine[Any, Any, T]) -> T:
    """What ``play`` returns."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(play)


def calls_over(exchange: Exchange, *, timeout: float, rng: random.Random) -> Calls:
    """Calls over an exchange that is no HTTP, with eight slots, in the running loop's time."""
    clock = asyncio.get_running_loop().time
    return Calls(
        exchange,
        timeout=timeout,
        max_concurrency=MOST,
        breaker=BreakerPolicy(),
        clock=clock,
        wall=lambda: 1_700_000_000.0 + clock(),
        rng=rng,
        observer=SilentObserver(),
        sleep=asyncio.sleep,
    )

"""A time limit that counts the loop's own time: what we are too busy to hear is no silence."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

_TICKS = 10
"""So many turns of the loop are given at least."""


@asynccontextmanager
async def patience(seconds: float) -> AsyncIterator[None]:
    """Raise ``TimeoutError`` in the block after ``seconds``, more if the loop is busy.

    The time is counted in ticks, each begun when the one before has ended. A loop that is kept
    from turning for a while (thousands of connections came at once) finds the timer and the
    answer at the same moment, or the answer needs some turns to be taken in: with one timer it
    would be thrown away although it was there in time.
    """
    loop = asyncio.get_running_loop()
    left = _TICKS
    timer: asyncio.TimerHandle

    def tick() -> None:
        nonlocal left, timer
        left -= 1
        if left:
            timer = loop.call_later(seconds / _TICKS, tick)
        else:
            limit.reschedule(loop.time())

    async with asyncio.timeout(None) as limit:
        timer = loop.call_later(seconds / _TICKS, tick)
        try:
            yield
        finally:
            timer.cancel()

"""A time limit that counts the loop's own time: what we are too busy to hear is no silence."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

T = TypeVar("T")
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


async def in_time(ask: Callable[[], Awaitable[T]], within: float) -> T:
    """What ``ask`` gives within so many seconds, as ``patience`` counts them, or ``TimeoutError``.

    Redis' client loses a cancellation that comes while it connects, sends or gives a connection
    back. It is heeded here: whoever waits for the end of its task would wait for ever.
    """
    task = asyncio.current_task()
    before = task.cancelling() if task else 0
    try:
        async with patience(within):
            return await ask()
    finally:
        if task and task.cancelling() > before:
            raise asyncio.CancelledError

"""Long work in the event loop, taken step by step so that everybody else has their turn."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import TypeVar

T = TypeVar("T")


async def in_steps(work: Generator[None, None, T]) -> T:
    """What ``work`` returns; the loop goes round once after each of its steps.

    Raises what ``work`` raises.
    """
    while True:
        try:
            next(work)
        except StopIteration as end:
            result: T = end.value
            return result
        await asyncio.sleep(0)

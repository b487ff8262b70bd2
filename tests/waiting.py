"""Waiting for a condition with a deadline; never sleeping for luck."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable


async def until(condition: Callable[[], object], within: float = 20.0, what: str = "") -> None:
    """Return once ``condition()`` is true; fail after ``within`` seconds, saying ``what``."""
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within} s: {what or condition}")
        await asyncio.sleep(0.005)

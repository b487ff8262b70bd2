"""Waiting for an event, but not for ever."""

from __future__ import annotations

import asyncio


async def set_within(event: asyncio.Event, seconds: float) -> bool:
    """Return when ``event`` is set, or after ``seconds``; whether it was set.

    The wait for it is cancelled, and not whoever waits, as ``asyncio.timeout`` does: a word that
    comes as time runs out is heard, and that time ran out is not mistaken for a cancellation.
    """
    waiting = asyncio.ensure_future(event.wait())
    try:
        await asyncio.wait({waiting}, timeout=seconds)
    finally:
        waiting.cancel()
    return waiting.done() or event.is_set()

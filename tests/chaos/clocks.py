"""The gateway's clock is set while it runs, and what must hold of it then.

Each time that it is set, answers are old, or from the future: each is fetched anew, once.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

import httpx

from app.sandbox.counts import canonical
from tests.chaos.stage import KNOWN, Stage

_HOUR = 3600.0
_SOON = 10.0
_ABOUT = 60.0
"""Seconds: far less than what the clock is set by."""
SETTINGS: Mapping[str, str] = {
    f"CACHE_TTL_{name}": "10m" for name in ("STATIC", "SLOW", "LIVE", "INSTANT")
}
"""For a gateway of which it is to be told how often it asks."""


async def ahead_and_purged(stage: Stage) -> None:
    """An hour ahead, where somebody purges everything."""
    await _put(stage, _HOUR)
    before = await _asked(stage)
    await stage.purge_everything()
    await _is_asked_anew(stage, before)


async def behind(stage: Stage) -> None:
    """An hour behind."""
    await _put(stage, -_HOUR)


async def right(stage: Stage) -> None:
    """As it should be."""
    await _put(stage, 0.0)


async def hardly_asks(stage: Stage, seconds: float) -> list[str]:
    """Look for ``seconds`` whether the upstream is left alone about what is known."""
    before = await _asked(stage)
    await asyncio.sleep(seconds)
    asked = {path: times - before[path] for path, times in (await _asked(stage)).items()}
    return [
        f"the upstream was asked {times} times in {seconds:g} s for {path}, which is fresh"
        for path, times in asked.items()
        if times > 1
    ]


async def _put(stage: Stage, offset: float) -> None:
    """Set the clock; returns when the gateway has seen it, and has asked for everything anew."""
    before, (_, uptime) = await _asked(stage), await _clocks(stage)
    stage.put_clock(offset)
    async with asyncio.timeout(_SOON):
        # The server makes its Date header anew each second.
        while abs((clocks := await _clocks(stage))[0] - time.time() - offset) > _ABOUT:
            await asyncio.sleep(0.05)
    assert abs(clocks[1] - uptime) < _ABOUT, "its monotonic clock was set as well"
    await _is_asked_anew(stage, before)


async def _clocks(stage: Stage) -> tuple[float, float]:
    """What the gateway's wall clock says, and its monotonic one: seconds since it was started."""
    async with httpx.AsyncClient(timeout=5) as client:
        told = await client.get(f"{stage.url}/health")
    date = parsedate_to_datetime(told.headers["date"])
    return date.timestamp(), float(told.json()["uptime_seconds"])


async def _is_asked_anew(stage: Stage, before: Mapping[str, int]) -> None:
    """Return when the upstream was asked each known question more often than ``before``."""
    deadline = time.monotonic() + _SOON
    while left := [path for path, times in (await _asked(stage)).items() if times == before[path]]:
        assert time.monotonic() < deadline, f"taken for fresh: {left}"
        await asyncio.sleep(0.05)


async def _asked(stage: Stage) -> dict[str, int]:
    """How often the upstream was asked each known question."""
    times = await stage.times_asked()
    return {path: times.get(_target(path), 0) for path in KNOWN}


def _target(path: str) -> str:
    path, _, query = path.partition("?")
    return canonical("GET", path, query)

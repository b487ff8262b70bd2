"""Whether all is as before: what is asked of the gateway and the kingdom after a fault."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import aiohttp
import httpx

from tests.chaos.load import Load
from tests.chaos.stage import Stage

_PAUSE = 0.05


async def recovery(
    stage: Stage, load: Load, within: float, unsaid: Callable[[], str | None]
) -> tuple[float, str | None]:
    """Wait until all is as before. How long that took, and what is not if ``within`` is over.

    ``unsaid``: what the gateway's log should say by then and does not.
    """
    began = time.monotonic()
    asked_before = sum((await stage.times_asked()).values())
    while True:
        try:
            missing = await _missing(stage, load, asked_before) or unsaid()
        except (httpx.HTTPError, aiohttp.ClientError, TimeoutError) as error:
            missing = repr(error)
        took = time.monotonic() - began
        if missing is None or took > within:
            return took, missing
        await asyncio.sleep(_PAUSE)


async def _missing(stage: Stage, load: Load, asked_before: int) -> str | None:
    told = await stage.health()
    for health in told:
        if health["status"] != "ok":
            return f"/health says {health['status']}: {health['upstream']} {health['cache']}"
        if waiting := health["cache"]["store"]["waiting_writes"]:
            return f"{waiting} answers wait to be written"
    if stage.killed_at is not None:
        youngest = min(health["uptime_seconds"] for health in told)
        if youngest > time.monotonic() - stage.killed_at:
            return "no worker answers in place of the killed one"
    if sum((await stage.times_asked()).values()) <= asked_before:
        return "the upstream is not asked"
    status = await load.new_question()
    return None if status == 200 else f"a new question gets {status}"

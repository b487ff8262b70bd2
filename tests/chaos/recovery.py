"""Whether all is as before: what is asked of the gateway and the kingdom after a fault."""

from __future__ import annotations

import asyncio
import time

import aiohttp
import httpx

from tests.chaos.load import Load
from tests.chaos.stage import Stage

_PAUSE = 0.05


async def recovery(stage: Stage, load: Load, within: float) -> tuple[float, str | None]:
    """Wait until all is as before. How long that took, and what is not if ``within`` is over."""
    began = time.monotonic()
    async with httpx.AsyncClient(timeout=5) as client:
        asked_before = await _times_asked(client, stage)
        while True:
            try:
                missing = await _missing(client, stage, load, asked_before)
            except (httpx.HTTPError, aiohttp.ClientError, TimeoutError) as error:
                missing = repr(error)
            took = time.monotonic() - began
            if missing is None or took > within:
                return took, missing
            await asyncio.sleep(_PAUSE)


async def _missing(
    client: httpx.AsyncClient, stage: Stage, load: Load, asked_before: int
) -> str | None:
    health = (await client.get(f"{stage.url}/health")).json()
    if health["status"] != "ok":
        return f"/health says {health['status']}: {health['upstream']} {health['cache']}"
    if waiting := health["cache"]["store"]["waiting_writes"]:
        return f"{waiting} answers wait to be written"
    if await _times_asked(client, stage) <= asked_before:
        return "the upstream is not asked"
    status = await load.new_question()
    return None if status == 200 else f"a new question gets {status}"


async def _times_asked(client: httpx.AsyncClient, stage: Stage) -> int:
    return int((await client.get(f"{stage.upstream}/__sandbox__/counts")).json()["total"])

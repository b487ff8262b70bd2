"""While another gateway is about to stop a container: wait until it is down, or kept after all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from app.containers.events import Kept, Lost, StopEnded
from app.containers.observed import ContainerGone, EngineError, EngineUnreachable, Standing
from app.containers.work import Job, await_down


async def yield_to_another(
    job: Job, given_back: Coroutine[Any, Any, None], is_dying: Callable[[], bool]
) -> StopEnded | Kept | Lost:
    """``given_back`` ends when the other has no right to stop it any more; ``is_dying``: the
    engine told of a signal that ends it."""
    down = asyncio.create_task(await_down(job), name=f"down {job.spec.name}")
    back = asyncio.create_task(given_back, name=f"given back {job.spec.name}")
    try:
        await asyncio.wait({down, back}, return_when=asyncio.FIRST_COMPLETED)
        left = None if down.done() else await _look(job, is_dying)
        return await down if left is None else left
    finally:
        for task in (down, back):
            task.cancel()
        await asyncio.gather(down, back, return_exceptions=True)


async def _look(job: Job, is_dying: Callable[[], bool]) -> StopEnded | Kept | Lost | None:
    """How it was left; ``None``: it is going down."""
    target = job.target()
    if target is None:
        return StopEnded(job.attempt)
    try:
        details = await job.engine.inspect(target)
    except ContainerGone:
        return StopEnded(job.attempt)
    except EngineUnreachable as error:
        return Lost(str(error))
    except EngineError:
        return Kept(job.attempt)
    if details.standing is not Standing.UP:
        # Paused, too, for which nobody could wait: to the engine it runs.
        return StopEnded(job.attempt)
    return None if is_dying() else Kept(job.attempt, details.run)

"""What the lifecycle's actions do to one container: wake it, put it down, wait for it.

Each returns the event that the lifecycle wants to hear; none raises an ``EngineError``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from app.containers.engine import Engine
from app.containers.last_words import last_words
from app.containers.lifecycle import Lost, StopEnded, WakeEnded
from app.containers.observed import (
    ContainerGone,
    EngineError,
    EngineRefused,
    EngineUnreachable,
    Inspected,
    Standing,
)
from app.containers.readiness import Died, log_mark, until_ready, what_is_missing
from app.containers.run_log import Mark
from app.containers.spec import Spec
from app.containers.start_slots import StartSlots

LOOK_SECONDS = 2.0
"""Between two looks whether what is waited for has long happened."""
STOP_MARGIN = 15.0
"""Seconds that the engine gets on top of a container's own grace period."""


@dataclass(frozen=True, slots=True)
class Job:
    """One piece of work on one container, numbered for the lifecycle.

    ``target`` names the container's present id; ``refresh`` brings it up to date, for a
    container that was recreated under the same name. ``run`` is the run that is to end, if known.
    """

    engine: Engine
    spec: Spec
    attempt: int
    target: Callable[[], str | None]
    refresh: Callable[[], Awaitable[None]]
    poke: asyncio.Event
    clock: Callable[[], float]
    run: str | None = None


async def wake(job: Job, startup_timeout: float, slots: StartSlots | None) -> WakeEnded | Lost:
    """Start it in one of the ``slots`` (``None``: it runs already), and probe until it is ready.

    ``startup_timeout`` counts from the end of the engine's part.
    """
    try:
        counted, mark = True, None
        if slots is not None:
            async with slots.take(job.spec.priority.rank):
                mark = await _mark(job)
                counted = await _begin(job)
        async with asyncio.timeout(startup_timeout):
            details = await (_probe(job, mark) if counted else _probe_or_begin_again(job, mark))
    except TimeoutError:
        return await _too_slow(job, startup_timeout)
    except Died as died:
        words = await last_words(job.engine, died.details) if died.details else ""
        return WakeEnded(job.attempt, fault=died.fault + words)
    except EngineUnreachable as error:
        return Lost(str(error))
    except ContainerGone:
        return WakeEnded(job.attempt, fault="it was removed")
    except EngineError as error:
        return WakeEnded(job.attempt, fault=f"the engine does not start it: {error}")
    return WakeEnded(job.attempt, run=details.run, up=True)


async def put_down(job: Job) -> StopEnded | Lost:
    """Stop or pause it, and return when the engine says that it is down."""
    target = job.target()
    if target is None:
        return StopEnded(job.attempt)
    try:
        details = await job.engine.inspect(target)
        if details.standing is Standing.UP and job.spec.sleep == "pause":
            await job.engine.pause(target)
        elif details.standing is Standing.UP:
            within = details.stop_timeout + STOP_MARGIN
            await job.engine.stop(target, within)
            return await _down(job, target, within)
    except ContainerGone:
        return StopEnded(job.attempt)
    except EngineUnreachable as error:
        return Lost(str(error))
    except EngineError as error:
        return StopEnded(job.attempt, fault=f"the engine does not stop it: {error}")
    return StopEnded(job.attempt)


async def await_down(job: Job) -> StopEnded | Lost:
    """Somebody else stops it: return when the engine says that it is down."""
    target = job.target()
    if target is None:
        return StopEnded(job.attempt)
    try:
        details = await job.engine.inspect(target)
        if _is_over(job, details):
            return StopEnded(job.attempt)
        return await _down(job, target, details.stop_timeout + STOP_MARGIN)
    except ContainerGone:
        return StopEnded(job.attempt)
    except EngineUnreachable as error:
        return Lost(str(error))
    except EngineError as error:
        return StopEnded(job.attempt, fault=str(error))


async def _down(job: Job, target: str, within: float) -> StopEnded:
    """Wait for the end of the run. The engine is asked in between, since it waits for the end of
    whatever runs: one that was started again meanwhile may run for ever."""
    deadline = job.clock() + within
    while (left := deadline - job.clock()) > 0:
        if await job.engine.wait_down(target, min(left, LOOK_SECONDS)):
            return StopEnded(job.attempt)
        if _is_over(job, await job.engine.inspect(target)):
            return StopEnded(job.attempt)
    return StopEnded(job.attempt, fault=f"it did not stop within {within:g} s")


def _is_over(job: Job, details: Inspected) -> bool:
    """Whether the run that is to end has ended, be it that another one runs."""
    if details.standing in (Standing.DOWN, Standing.GONE):
        return True
    return job.run is not None and details.run != job.run


async def _mark(job: Job) -> Mark | None:
    """How far the log goes, if a line of it is to tell when the container is ready."""
    target = job.target()
    if job.spec.ready.kind != "log" or target is None:
        return None
    return await log_mark(job.engine, target)


async def _probe_or_begin_again(job: Job, mark: Mark | None) -> Inspected:
    try:
        return await _probe(job, mark)
    except Died as died:
        if died.details is None:
            raise
    # "Runs already" was said of a container that was on its way down: the start was lost.
    mark = await _mark(job)
    await _begin(job)
    return await _probe(job, mark)


async def _begin(job: Job) -> bool:
    """Start or unpause it; whether the engine took that as a start."""
    target = job.target()
    try:
        return await _start_or_unpause(job.engine, target) if target else await _begin_anew(job)
    except ContainerGone:
        return await _begin_anew(job)


async def _begin_anew(job: Job) -> bool:
    """The id was of no use: look for the name's present one, once."""
    await job.refresh()
    target = job.target()
    if target is None:
        raise ContainerGone("removed")
    return await _start_or_unpause(job.engine, target)


async def _start_or_unpause(engine: Engine, target: str) -> bool:
    try:
        return await engine.start(target)
    except EngineRefused as refused:
        if refused.status != 409 or not await _unpaused(engine, target):
            raise
        return True


async def _unpaused(engine: Engine, target: str) -> bool:
    """Let it go on; whether it does. Another gateway may do the same at the same moment."""
    if (await engine.inspect(target)).standing is Standing.PAUSED:
        with suppress(EngineRefused):
            await engine.unpause(target)
    return (await engine.inspect(target)).standing is Standing.UP


async def _probe(job: Job, mark: Mark | None) -> Inspected:
    target = job.target()
    if target is None:
        raise ContainerGone("removed")
    return await until_ready(
        job.engine,
        target,
        job.spec.ready,
        ready_after=job.spec.ready_after,
        poke=job.poke,
        clock=job.clock,
        mark=mark,
    )


async def _too_slow(job: Job, startup_timeout: float) -> WakeEnded | Lost:
    """Say what was waited for, and look whether it runs on: then it is not left unwatched."""
    fault = f"it was not ready (by drawbridge.ready={job.spec.ready}) within {startup_timeout:g} s"
    advice = "drawbridge.startup-timeout gives it more"
    target = job.target()
    try:
        details = await job.engine.inspect(target) if target else None
    except EngineUnreachable as error:
        return Lost(str(error))
    except EngineError:
        details = None
    if details is None or details.standing is not Standing.UP:
        return WakeEnded(job.attempt, fault=f"{fault}; {advice}", slow=True)
    missing = await what_is_missing(job.spec.ready, details)
    fault = f"{fault}: {missing}; {advice}"
    return WakeEnded(job.attempt, run=details.run, fault=fault, slow=True, up=True)

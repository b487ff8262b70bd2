"""The faults, as data: how each begins, how it ends, and what a new question gets meanwhile."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

from tests.chaos import clocks
from tests.chaos.stage import Stage

ANSWERED, REFUSED = "answered", "refused"
_REPLACED_WITHIN = 15.0
Act = Callable[[Stage], Awaitable[None]]
Look = Callable[[Stage, float], Awaitable[list[str]]]
"""Looks at a stage for so many seconds after a fault: what it does not like, in words."""


async def _sees_nothing(_: Stage, __: float) -> list[str]:
    return []


@dataclass(frozen=True, slots=True)
class Fault:
    """What is known is answered during every fault; ``new`` says what a new question gets.

    ``trace`` is what the gateway's log says of a fault that no client can see, and ``healed`` what
    it says as often when that is over. ``cuts``: connections break, and may be made anew once.
    """

    name: str
    begin: Act
    end: Act
    new: str = REFUSED
    trace: str = ""
    healed: str = ""
    cuts: bool = False
    look: Look = _sees_nothing

    def unsaid(self, log: str) -> str | None:
        """What ``log`` should say after the fault and does not."""
        if not self.healed or log.count(self.healed) == log.count(self.trace):
            return None
        return f"the gateway has not said {self.healed!r}"


def _told(name: str, new: str = REFUSED, **fault: Any) -> Fault:
    async def begin(stage: Stage) -> None:
        await stage.misbehave(**fault)

    return Fault(name, begin, Stage.behave, new)


async def _kill_both(stage: Stage) -> None:
    await stage.kill_upstream()
    await stage.restart_gateway()


async def _days_later_upstream_dead(stage: Stage) -> None:
    await stage.kill_upstream()
    await stage.restart_gateway(days_later=True)


async def _days_later_upstream_hangs(stage: Stage) -> None:
    await stage.misbehave(answer="hang")
    await stage.restart_gateway(days_later=True)


async def _kill_the_other(stage: Stage) -> None:
    """Kill a second worker, once another has taken the place of the first."""
    killed_at = stage.killed_at or 0.0
    async with asyncio.timeout(_REPLACED_WITHIN):
        while time.monotonic() - killed_at < await _youngest(stage):
            await asyncio.sleep(0.05)
    await stage.kill_worker()


async def _youngest(stage: Stage) -> float:
    return min(float(health["uptime_seconds"]) for health in await stage.health())


_UPSTREAM = (
    Fault("upstream killed", Stage.kill_upstream, Stage.start_upstream),
    _told("upstream hangs", answer="hang"),
)
ON_SQLITE = (
    *_UPSTREAM,
    _told("upstream slow", new=ANSWERED, latency=1.2, jitter=0.6),
    _told("upstream refuses: 429", answer="refuse", retry_after=1),
    _told("upstream refuses: 503", error_rate=1, error_status=503),
    _told("upstream lies: HTML", answer="html"),
    _told("upstream lies: cut off", answer="truncate"),
    _told("upstream lies: error object", answer="error_object"),
    _told("upstream lies: endless", answer="endless"),
    Fault("gateway killed, upstream dead", _kill_both, Stage.start_upstream),
    Fault("days later, upstream dead", _days_later_upstream_dead, Stage.start_upstream),
    Fault("days later, upstream hangs", _days_later_upstream_hangs, Stage.behave),
)
ON_DISK = (
    Fault("disk full", Stage.fill_disk, Stage.empty_disk, ANSWERED, "is full: free some space"),
)
_UNWRITTEN = "the store cannot be written now"
ON_MONGODB = (
    Fault("mongodb killed", Stage.kill_mongodb, Stage.start_mongodb, ANSWERED, _UNWRITTEN),
    Fault("mongodb paused", Stage.pause_mongodb, Stage.start_mongodb, ANSWERED, _UNWRITTEN),
)
_ALONE, _TOGETHER = "no word from redis", "redis is back"
WITH_WORKERS = (
    Fault("redis killed", Stage.kill_redis, Stage.start_redis, ANSWERED, _ALONE, healed=_TOGETHER),
    Fault("redis paused", Stage.pause_redis, Stage.start_redis, ANSWERED, _ALONE, healed=_TOGETHER),
    Fault(
        "workers killed",
        Stage.kill_worker,
        _kill_the_other,
        ANSWERED,
        "a worker ended and is replaced",
        cuts=True,
    ),
    *(replace(fault, name=f"{fault.name}, 2 workers") for fault in _UPSTREAM),
)
WITH_A_CLOCK = (
    Fault(
        "clock +1 h, then -1 h",
        clocks.ahead_and_purged,
        clocks.right,
        ANSWERED,
        look=clocks.hardly_asks,
    ),
    Fault("clock -1 h, then +1 h", clocks.behind, clocks.right, ANSWERED, look=clocks.hardly_asks),
)

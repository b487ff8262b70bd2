"""The faults, as data: how each begins, how it ends, and what a new question gets meanwhile."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from tests.chaos.stage import Stage

ANSWERED, REFUSED = "answered", "refused"
Act = Callable[[Stage], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Fault:
    """What is known is answered during every fault; ``new`` says what a new question gets.

    ``trace`` is what the gateway's log says of a fault that no client can see.
    """

    name: str
    begin: Act
    end: Act
    new: str = REFUSED
    trace: str = ""


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


ON_SQLITE = (
    _told("upstream slow", new=ANSWERED, latency=1.2, jitter=0.6),
    Fault("upstream killed", Stage.kill_upstream, Stage.start_upstream),
    _told("upstream hangs", answer="hang"),
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

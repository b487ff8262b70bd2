"""The life of one container as a state machine. Pure: the only place that decides.

::

    missing ──seen──► asleep ──needed──► waking ──ready──► awake ──nobody──► draining
       ▲                 ▲                 │ fails           ▲  a lease ──────┘  │ still nobody
       └─ gone, or the   │                 ▼                 │                   ▼
          engine is lost └──── backoff ─ failed           (probe) ◄─ refuses ─ stopping
                         └──────────────────────────────────────────── down ────┘

Three rules carry it:

* While a worker is busy with the container (``waking``, ``stopping``) only that worker's report
  counts, and only if it carries the number of the present attempt.
* An observation that was asked for before the present state began says nothing about it.
* During a stop the engine loses starts. A need in ``stopping`` is therefore kept (``wanted``),
  and the start is sent when the container is known to be down.

Where several gateways share an engine, one of them stops a container when all others have closed
their gates to it: to those it is ``stopping`` as well, until it is down, or was kept after all.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from enum import StrEnum

from app.containers.events import (
    Action,
    Event,
    Kept,
    Killed,
    LeasesCounted,
    Lost,
    Needed,
    Objected,
    Seen,
    SleepAsked,
    StopEnded,
    WakeEnded,
    Yielded,
)
from app.containers.observed import Standing

__all__ = [
    "Action",
    "Event",
    "Kept",
    "Killed",
    "LeasesCounted",
    "Life",
    "Lost",
    "Needed",
    "Objected",
    "Seen",
    "SleepAsked",
    "State",
    "StopEnded",
    "WakeEnded",
    "Yielded",
    "step",
]

STEADY_SECONDS = 60.0
"""A container that was awake for so long is not in a crash loop when it dies."""
BACKOFF_FIRST = 1.0
BACKOFF_CAP = 300.0


class State(StrEnum):
    """Where a container is in its life."""

    ASLEEP = "asleep"
    WAKING = "waking"
    AWAKE = "awake"
    DRAINING = "draining"
    STOPPING = "stopping"
    FAILED = "failed"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Life:
    """Where a container is, since when, and what must be remembered about it.

    ``attempt`` numbers the workers; ``wanted``: somebody needs it, behind a stop as well; ``up``:
    it runs, as far as is known, ready or not; ``doomed``: a stop of ``run`` was under way when the
    engine was lost, or another gateway was about to stop what is asleep here; ``run``: the run
    that was ready, failed, or is to end; ``retry_at``: the backoff's end; ``slow``: the failure
    was a missed deadline; ``error``: the last trouble, for people.
    """

    state: State
    since: float
    attempt: int = 0
    wanted: bool = False
    up: bool = False
    doomed: bool = False
    run: str | None = None
    failures: int = 0
    retry_at: float = 0.0
    slow: bool = False
    error: str | None = None


Step = tuple[Life, tuple[Action, ...]]


def step(life: Life, event: Event, now: float, rng: random.Random) -> Step:
    """The life after ``event``, and what is to be done. Unexpected events change nothing."""
    after: Step
    match event:
        case Needed():
            after = _needed(life, now)
        case SleepAsked(leases=leases) | LeasesCounted(leases=leases):
            after = _counted(life, leases, now, asked=isinstance(event, SleepAsked))
        case Objected():
            after = _objected(life, now)
        case Yielded():
            after = _yielded(life, now)
        case Kept():
            after = _kept(life, event, now)
        case Seen():
            after = _seen(life, event, now, rng)
        case Killed():
            after = _killed(life, event, now)
        case WakeEnded():
            after = _wake_ended(life, event, now, rng)
        case StopEnded():
            after = _stop_ended(life, event, now)
        case Lost():
            after = _lost(life, event, now)
    return after


def backoff(failures: int, rng: random.Random) -> float:
    """Seconds to wait after that many failures in a row: doubling, capped, and blurred by a
    quarter either way so that containers that fell together do not rise together.
    """
    doubled = BACKOFF_FIRST * 2.0 ** min(max(failures, 1) - 1, 32)
    return min(BACKOFF_CAP, doubled) * (0.75 + rng.random() / 2)


def _begin(life: Life, state: State, action: Action, now: float) -> Step:
    """Hand the container to a new worker."""
    begun = replace(
        life,
        state=state,
        since=now,
        attempt=life.attempt + 1,
        run=None if state is State.WAKING else life.run,
        wanted=action is Action.START,
        doomed=state is State.STOPPING,
    )
    return begun, (action,)


def _needed(life: Life, now: float) -> Step:
    match life.state:
        case State.ASLEEP if life.doomed:
            stopping, actions = _begin(life, State.STOPPING, Action.YIELD, now)
            return replace(stopping, wanted=True), actions
        case State.ASLEEP:
            return _begin(life, State.WAKING, Action.START, now)
        case State.FAILED if now >= life.retry_at:
            return _begin(life, State.WAKING, Action.START, now)
        case State.DRAINING:
            return replace(life, state=State.AWAKE, since=now), ()
        case State.STOPPING | State.WAKING:
            return replace(life, wanted=True), ()
    return life, ()


def _counted(life: Life, leases: int, now: float, *, asked: bool) -> Step:
    match life.state:
        case State.AWAKE if asked and not leases:
            return _begin(life, State.DRAINING, Action.RECHECK, now)
        case State.FAILED if asked and not leases and life.up:
            return _begin(life, State.STOPPING, Action.STOP, now)
        case State.DRAINING if leases:
            return replace(life, state=State.AWAKE, since=now), ()
        case State.DRAINING if not asked:
            return _begin(life, State.STOPPING, Action.STOP, now)
    return life, ()


def _objected(life: Life, now: float) -> Step:
    if life.state is not State.DRAINING:
        return life, ()
    return replace(life, state=State.AWAKE, since=now), ()


def _yielded(life: Life, now: float) -> Step:
    match life.state:
        case State.AWAKE | State.DRAINING:
            return _begin(life, State.STOPPING, Action.YIELD, now)
        case State.FAILED if life.up:
            # Should it be kept, nobody knows whether it is any better.
            return _begin(replace(life, run=None), State.STOPPING, Action.YIELD, now)
        case State.WAKING:
            # It was granted before this gateway knew of the container.
            stopping, actions = _begin(life, State.STOPPING, Action.YIELD, now)
            return replace(stopping, wanted=life.wanted), actions
        case State.ASLEEP:
            # Should it run after all, which only the other knows, our gate is closed all the same.
            return replace(life, doomed=True), ()
    return life, ()


def _kept(life: Life, kept: Kept, now: float) -> Step:
    if life.state is not State.STOPPING or kept.attempt != life.attempt:
        return life, ()
    if kept.run is None or kept.run != life.run:
        return _begin(life, State.WAKING, Action.PROBE, now)
    return replace(life, state=State.AWAKE, since=now, wanted=False, doomed=False), ()


def _seen(life: Life, seen: Seen, now: float, rng: random.Random) -> Step:
    if seen.asked_at < life.since or life.state in (State.WAKING, State.STOPPING):
        return life, ()
    match seen.standing:
        case Standing.UP:
            return _seen_up(life, seen, now)
        case Standing.GONE:
            if life.state is State.MISSING:
                return life, ()
            gone = replace(life, state=State.MISSING, since=now, up=False, run=None)
            return replace(gone, error="the engine knows no such container"), ()
    return _seen_down(life, seen, now, rng)


def _seen_up(life: Life, seen: Seen, now: float) -> Step:
    same_run = seen.run is None or seen.run == life.run
    match life.state:
        case State.MISSING if life.doomed and life.run in (None, seen.run):
            return _begin(life, State.STOPPING, Action.AWAIT_DOWN, now)
        case State.ASLEEP if life.doomed:
            return _begin(life, State.STOPPING, Action.YIELD, now)
        case State.ASLEEP | State.MISSING:
            return _begin(life, State.WAKING, Action.PROBE, now)
        case State.FAILED if now >= life.retry_at or not same_run:
            return _begin(life, State.WAKING, Action.PROBE, now)
        case State.FAILED:
            return replace(life, up=True), ()
        case State.AWAKE | State.DRAINING if not same_run:
            return _begin(life, State.WAKING, Action.PROBE, now)
    return life, ()


def _seen_down(life: Life, seen: Seen, now: float, rng: random.Random) -> Step:
    down = replace(life, since=now, up=False, doomed=False, run=None)
    match life.state:
        case State.ASLEEP:
            return replace(life, doomed=False), ()
        case State.FAILED:
            return replace(life, up=False), ()
        case State.MISSING if now < life.retry_at:
            return replace(down, state=State.FAILED), ()
        case State.MISSING:
            return replace(down, state=State.ASLEEP, error=None), ()
        case State.AWAKE | State.DRAINING if seen.fault is None:
            return replace(down, state=State.ASLEEP, failures=0, error=None), ()
        case State.AWAKE | State.DRAINING:
            steady = now - life.since >= STEADY_SECONDS
            failures = 1 if steady else life.failures + 1
            return _crashed(replace(down, failures=failures, error=seen.fault), now, rng), ()
    return life, ()


def _crashed(life: Life, now: float, rng: random.Random) -> Life:
    """It died by itself. The first time is forgiven: the next request may wake it at once."""
    if life.failures == 1:
        return replace(life, state=State.ASLEEP, slow=False)
    retry_at = now + backoff(life.failures - 1, rng)
    return replace(life, state=State.FAILED, slow=False, retry_at=retry_at)


def _killed(life: Life, killed: Killed, now: float) -> Step:
    dying = replace(life, run=killed.run or life.run)
    match life.state:
        case State.AWAKE | State.DRAINING:
            return _begin(dying, State.STOPPING, Action.AWAIT_DOWN, now)
        case State.FAILED if life.up:
            return _begin(dying, State.STOPPING, Action.AWAIT_DOWN, now)
        case State.WAKING:
            stopping, actions = _begin(dying, State.STOPPING, Action.AWAIT_DOWN, now)
            # One that somebody else had started is not started again for nobody.
            return replace(stopping, wanted=life.wanted), actions
    return life, ()


def _wake_ended(life: Life, ended: WakeEnded, now: float, rng: random.Random) -> Step:
    if life.state is not State.WAKING or ended.attempt != life.attempt:
        return life, ()
    if ended.fault is None:
        awake = replace(life, state=State.AWAKE, since=now, run=ended.run, up=True, wanted=False)
        return replace(awake, error=None, slow=False, retry_at=0.0), ()
    failures = life.failures + 1
    failed = replace(
        life,
        state=State.FAILED,
        since=now,
        wanted=False,
        run=ended.run,
        up=ended.up,
        failures=failures,
        retry_at=now + backoff(failures, rng),
        error=ended.fault,
        slow=ended.slow,
    )
    return failed, ()


def _stop_ended(life: Life, ended: StopEnded, now: float) -> Step:
    if life.state is not State.STOPPING or ended.attempt != life.attempt:
        return life, ()
    if ended.fault is not None:
        # It still runs. Whether it still serves is not taken on trust.
        return _begin(replace(life, error=ended.fault), State.WAKING, Action.PROBE, now)
    down = replace(life, up=False, run=None, failures=0, retry_at=0.0, error=None)
    if life.wanted:
        return _begin(down, State.WAKING, Action.START, now)
    return replace(down, state=State.ASLEEP, since=now, doomed=False), ()


def _lost(life: Life, lost: Lost, now: float) -> Step:
    # Why it does not come up is asked for again when the engine is back.
    reason = life.error if now < life.retry_at else lost.reason
    if life.state is State.MISSING:
        return replace(life, error=reason), ()
    doomed = life.state is State.STOPPING
    missing = replace(life, state=State.MISSING, since=now, doomed=doomed, wanted=False)
    run = life.run if doomed else None
    return replace(missing, up=False, run=run, error=reason), (Action.ABANDON,)

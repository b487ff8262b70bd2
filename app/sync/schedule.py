"""When a job is due. PURE: times are wall times, ``jitter`` is a number from 0 to 1, drawn once.

A clock may be set while a gateway runs: what lies in the future is not waited for, and nothing
is later than a job's own cadence from now.
"""

from __future__ import annotations

import math

from app.records.store import JobState
from app.sync.job import HOUR, MINUTE, Job

DAY = 24 * HOUR
QUIET_AFTER = HOUR
"""Seconds without a question after which nobody uses the gateway."""
RETRY = MINUTE
"""Seconds after the first failure; after each further one twice as many, up to the cadence."""
ROLL_OVER = (20.0, 300.0)
"""Seconds after 00:00 UTC in which daily jobs begin: not everybody in the same one, and not before
the upstream has seen the new day itself."""
_SPREAD = 0.05
"""Part of a cadence by which a run may be early, so that gateways drift apart."""
_ASTRAY = MINUTE
"""Seconds that a run may lie in the future before the clock is known to have been set back."""


def cadence_of(job: Job, last_used: float, now: float) -> float:
    """Seconds from one run to the next, by when the gateway was used last (0: never)."""
    return job.every if now - last_used < QUIET_AFTER else job.quiet


def due_at(
    job: Job, state: JobState | None, *, last_used: float, now: float, jitter: float
) -> float:
    """When ``job`` is to be run next; not after ``now``: now."""
    if state is None or not state.began_at or state.began_at > now + _ASTRAY:
        return now
    cadence = cadence_of(job, last_used, now)
    due = state.began_at + cadence * (1 - _SPREAD * jitter)
    if state.ended_at < state.began_at:
        # It runs now, or whoever ran it died: who tries to will learn which.
        due = min(due, state.began_at + RETRY)
    elif state.failures:
        due = min(due, state.ended_at + _pause(state.failures, jitter))
    if job.daily:
        due = min(due, _roll_over(state.began_at, jitter))
    return min(due, now + cadence)


def _pause(failures: int, jitter: float) -> float:
    """Exponential, bounded so that it stays a number; the cadence bounds it further."""
    return RETRY * math.exp2(min(failures - 1, 12)) * (1 + _SPREAD * jitter)


def _roll_over(began_at: float, jitter: float) -> float:
    """When the first day after a run that began at ``began_at`` is to be looked at.

    A run that began within the spread saw the new day, unless it was before the job's own time.
    """
    soonest, latest = ROLL_OVER
    after_midnight = soonest + (latest - soonest) * jitter
    day = math.floor((began_at - after_midnight) / DAY) + 1
    return day * DAY + after_midnight

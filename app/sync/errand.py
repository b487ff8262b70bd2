"""A wish that a job be run, as it travels to a worker, and how a worker fulfils it.

It may arrive twice, late, or after its job was run for another reason: whoever finds that there
was a run since it was made does nothing.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from enum import StrEnum

from app.errors import JobBusy
from app.records.store import JobState
from app.sync.job import JOBS, Job
from app.sync.scheduler import Runs

LOOK_AGAIN = 1.0
"""Seconds after which one who waits for a job that is busy looks again."""


class Outcome(StrEnum):
    """What became of an errand."""

    RAN = "ran"
    NOT_NEEDED = "not needed"
    """It was run since the errand was made."""
    BUSY = "busy"
    """Somebody lives and runs it."""


@dataclass(frozen=True, slots=True)
class Errand:
    """``job`` is a name in ``JOBS``. It is to be run unless a run of it began after ``since``
    (wall) and ended; ``confirm``: believe whatever comes. ``request_id`` and ``traceparent`` say
    for whom (see ``app.cause``). Raises ``ValueError`` for another name.
    """

    job: str
    since: float
    confirm: bool = False
    request_id: str | None = None
    traceparent: str | None = None

    def __post_init__(self) -> None:
        if self.job not in JOBS:
            raise ValueError(f"there is no job {self.job!r}; there are {', '.join(JOBS)}")


def is_fulfilled(errand: Errand, state: JobState | None) -> bool:
    """Whether ``state`` tells of a run that makes another one needless. One that began and did not
    end was left behind, or is under way."""
    return state is not None and errand.since <= state.began_at <= state.ended_at


async def fulfil(errand: Errand, runner: Runs, job: Job, *, patience: float) -> Outcome:
    """Run ``job``, the errand's, once.

    When it is busy, that may be the right of a process that is dead and has not run out yet: only
    after ``patience`` seconds is it known that somebody lives. Raises what ``runner`` raises but
    for ``JobBusy``.
    """
    clock = asyncio.get_running_loop().time
    deadline = clock() + patience
    while True:
        if is_fulfilled(errand, (await runner.states()).get(errand.job)):
            return Outcome.NOT_NEEDED
        try:
            await runner.run(job, confirm=errand.confirm)
        except JobBusy:
            if clock() >= deadline:
                return Outcome.BUSY
            await asyncio.sleep(min(LOOK_AGAIN, patience / 4))
        else:
            return Outcome.RAN

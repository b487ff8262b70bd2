"""The embedded schedule: one task that runs what is due, one job after the other."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import Context, copy_context
from dataclasses import dataclass
from typing import Protocol, Self

import structlog

from app.errors import DrawbridgeError, JobBusy
from app.records.store import JobState
from app.sync.job import Job
from app.sync.runner import Progress
from app.sync.schedule import due_at
from app.waiting import set_within

log = structlog.get_logger(__name__)
LOOK = 60.0
"""Seconds without a look at the clock, which may be set, at whether the gateway is used, and at
what other processes ran."""
BUSY = 60.0
"""Seconds after which a job is looked at again that another process runs."""


Glance = Callable[[], Awaitable[Mapping[str, JobState] | None]]
"""What is remembered of all jobs, if that can be had without waking or keeping up anything."""


def _unheard(_: JobState) -> None:
    return


class Runs(Protocol):
    """What runs the jobs: ``Runner``, whose docstrings say what is promised."""

    async def states(self) -> Mapping[str, JobState]: ...

    async def run(
        self, job: Job, *, progress: Progress | None = None, confirm: bool = False
    ) -> JobState: ...


@dataclass(frozen=True, slots=True)
class Running:
    """What is being done now: rows and calls are of ``collection``."""

    job: str
    collection: str = ""
    rows: int = 0
    calls: int = 0


@dataclass(frozen=True, slots=True)
class _Wish:
    job: Job
    confirm: bool
    answer: asyncio.Future[JobState]
    context: Context
    """For whom: see ``app.cause``."""


class Scheduler:
    """An async context manager; owns one task. ``jobs`` stand in the order of their importance.

    ``last_used`` gives the wall time of the last question to the gateway (0: none yet); ``wall``
    counts from 1970; ``jitter`` is a number from 0 to 1, another one for each gateway. ``on_ended``
    is told of each run that ended, here or elsewhere; must not raise or block.
    """

    def __init__(
        self,
        runner: Runs,
        jobs: Sequence[Job],
        *,
        last_used: Callable[[], float],
        wall: Callable[[], float],
        jitter: float,
        look: float = LOOK,
        glance: Glance | None = None,
        on_ended: Callable[[JobState], None] = _unheard,
    ) -> None:
        self.states: Mapping[str, JobState] = {}
        """What is known of the jobs, as of the last look; reading it wakes nobody."""
        self.running: Running | None = None
        self._runner = runner
        self.jobs = {job.name: job for job in jobs}
        """By name."""
        self._jobs = tuple(jobs)
        self._last_used = last_used
        self._wall = wall
        self._jitter = jitter
        self._look = look
        self._glance = glance
        self._on_ended = on_ended
        self._known = False
        self._opened_at = wall()
        self._patience = min((job.quiet for job in jobs), default=0.0)
        self._failing = False
        self._not_before: dict[str, float] = {}
        self._wishes: dict[str, _Wish] = {}
        self._current: _Wish | None = None
        self._stir = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._live(), name="sync-scheduler")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Stop at once; a run that is under way leaves everything as it was."""
        self._closed = True
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        for wish in (self._current, *self._wishes.values()):
            if wish is not None:
                wish.answer.cancel()
        self._wishes.clear()

    def due(self, job: Job) -> float:
        """When ``job`` will be run, as far as is known now (wall)."""
        return self._due(job, self._wall())

    def _due(self, job: Job, now: float) -> float:
        state = self.states.get(job.name)
        due = due_at(job, state, last_used=self._last_used(), now=now, jitter=self._jitter)
        return max(due, self._not_before.get(job.name, 0.0))

    async def look_around(self) -> None:
        """Learn what other processes ran, if that wakes nobody. Raises ``StoreError``."""
        found = None if self._glance is None else await self._glance()
        if found is not None:
            self._take_in(found)

    async def trigger(self, job: Job, *, confirm: bool = False) -> JobState:
        """Have ``job`` run next, and return what became of it.

        Who wishes for what is wished for already waits for the same run; whoever stops waiting
        does not stop it. Raises ``JobBusy`` if another process runs it, and ``CancelledError``
        if the scheduler closes.
        """
        if self._closed or self._task is None:
            raise RuntimeError("the scheduler is not open")
        for made in (self._current, self._wishes.get(job.name)):
            if made is not None and made.job == job and made.confirm >= confirm:
                return await asyncio.shield(made.answer)
        waiting = self._wishes.get(job.name)
        answer = waiting.answer if waiting else asyncio.get_running_loop().create_future()
        self._wishes[job.name] = _Wish(job, confirm, answer, copy_context())
        self._stir.set()
        return await asyncio.shield(answer)

    async def _live(self) -> None:
        while True:
            try:
                await self._do_next()
            except DrawbridgeError as error:
                if not self._failing:
                    log.warning("jobs cannot be run now", reason=str(error))
            except Exception:
                if not self._failing:
                    log.exception("jobs cannot be run now, for an error of ours")
            else:
                self._failing = False
                continue
            self._failing = True
            await self._rest(self._look)

    async def _do_next(self) -> None:
        if self._wishes:
            await self._fulfil(next(iter(self._wishes.values())))
            return
        if not self._known and not await self._learn_first():
            return
        now = self._wall()
        job = next((job for job in self._jobs if self._due(job, now) <= now), None)
        if job is None:
            soonest = min((self._due(job, now) for job in self._jobs), default=now + self._look)
            await self._rest(min(soonest - now, self._look))
            await self.look_around()
            return
        await self._learn()
        if self._due(job, now) <= now:
            await self._run_due(job)

    async def _learn_first(self) -> bool:
        """Whether it is known now what was run before: nothing is woken for that alone, unless it
        slept for so long that something must be due."""
        await self.look_around()
        waited = self._wall() - self._opened_at
        if not self._known and self._glance is not None and 0 <= waited < self._patience:
            await self._rest(self._look)
            return False
        if not self._known:
            await self._learn()
        return True

    async def _learn(self) -> None:
        """What other processes ran is not due here any more."""
        self._take_in(await self._runner.states())

    def _take_in(self, found: Mapping[str, JobState]) -> None:
        before, self.states = self.states, {**self.states, **found}
        for name, state in found.items():
            ended_before = before[name].ended_at if name in before else 0.0
            if self._known and state.ended_at > ended_before and state.ended_at >= state.began_at:
                self._on_ended(state)
        self._known = True

    async def _run_due(self, job: Job) -> None:
        try:
            await self._run(job, confirm=False)
        except JobBusy:
            self._not_before[job.name] = self._wall() + BUSY

    async def _fulfil(self, wish: _Wish) -> None:
        """Whatever happens, somebody waits for it."""
        del self._wishes[wish.job.name]
        self._current = wish
        run = asyncio.create_task(
            self._run(wish.job, confirm=wish.confirm), name="sync-wish", context=wish.context
        )
        [outcome] = await asyncio.gather(run, return_exceptions=True)
        self._current = None
        if isinstance(outcome, BaseException):
            wish.answer.set_exception(outcome)
            # Whoever wished may have stopped waiting: then nobody looks at it.
            wish.answer.exception()
        else:
            wish.answer.set_result(outcome)

    async def _run(self, job: Job, *, confirm: bool) -> JobState:
        def watch(collection: str, rows: int, calls: int) -> None:
            self.running = Running(job.name, collection, rows, calls)

        self.running = Running(job.name)
        try:
            state = await self._runner.run(job, progress=watch, confirm=confirm)
        finally:
            self.running = None
        self._take_in({job.name: state})
        return state

    async def _rest(self, seconds: float) -> None:
        """Until something is wished for, or ``seconds`` have passed."""
        await set_within(self._stir, max(seconds, 0.0))
        self._stir.clear()

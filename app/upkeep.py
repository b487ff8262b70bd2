"""What keeps the records of the kingdom fresh, put together: jobs, the upstream and a schedule."""

from __future__ import annotations

import random
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from app.cache.key import canonicalise
from app.config import SyncSettings
from app.errors import RequestRefused, SyncError
from app.kingdom.catalogue import Match
from app.kingdom.collections import Collection
from app.kingdom.operation import Operation
from app.records.store import JobState, RecordStore
from app.sync.job import jobs_for
from app.sync.lease import LocalLease
from app.sync.run import Prove, Publish
from app.sync.runner import Awake, Lease, Runner, SilentSyncObserver, SyncObserver
from app.sync.scheduler import Glance, Runs, Scheduler
from app.sync.source import Answer, PoliteSource, Source
from app.upstream.client import UpstreamClient, UpstreamRequest


class UpstreamSource:
    """See ``app.sync.source.Source``. Asks exactly what the mirror would ask for a client, and
    lets clients go first."""

    def __init__(self, upstream: UpstreamClient) -> None:
        self._upstream = upstream

    async def ask(
        self, operation: Operation, values: Mapping[str, str], query: Sequence[tuple[str, str]]
    ) -> Answer:
        """See ``Source``. Raises ``SyncError`` for a question that is none."""
        answer = await self._upstream.fetch(_request(operation, values, query), background=True)
        return Answer(answer.status, answer.content_type, answer.body, answer.seconds)


def polite_source(settings: SyncSettings, upstream: UpstreamClient) -> Source:
    """The upstream for everything that jobs ask, proofs included: one call at a time, paced."""
    return PoliteSource(UpstreamSource(upstream), pace=settings.sync_pace, clock=time.monotonic)


class LastUse:
    """When the gateway was used last, as seen whenever somebody looks.

    ``questions`` counts all that were ever asked: nothing is added to what each of them costs.
    """

    def __init__(self, questions: Callable[[], float], wall: Callable[[], float]) -> None:
        self._questions = questions
        self._wall = wall
        self._counted = questions()
        self._at = 0.0

    def __call__(self) -> float:
        """The wall time of the first look after the last question; 0: there was none yet."""
        counted = self._questions()
        if counted != self._counted:
            self._counted, self._at = counted, self._wall()
        return self._at


Through = Callable[[Runner], AbstractAsyncContextManager[Runs]]
"""Puts something else in the runner's place behind the schedule: workers, say."""


@dataclass(frozen=True, slots=True)
class Upkeep:
    """What runs jobs here, and what they keep.

    ``scheduler``: ``None`` where they are not run by themselves.
    """

    records: RecordStore
    runner: Runner
    scheduler: Scheduler | None

    def ages(self) -> Mapping[str, float]:
        """Seconds since the last good run of each job ended, as far as is known here."""
        states = {} if self.scheduler is None else self.scheduler.states
        now = time.time()
        return {name: max(0.0, now - one.good_at) for name, one in states.items() if one.good_at}


@asynccontextmanager
async def open_upkeep(
    settings: SyncSettings,
    records: RecordStore,
    source: Source,
    *,
    awake: Awake,
    is_up: Callable[[], bool],
    questions: Callable[[], float],
    scheduled: bool = True,
    publish: Publish | None = None,
    prove: Prove | None = None,
    lease: Lease | None = None,
    through: Through | None = None,
    around: Callable[[Runs], Runs] | None = None,
    glance: Glance | None = None,
    observer: SyncObserver | None = None,
) -> AsyncIterator[Upkeep]:
    """A runner and, if the settings want it and it is ``scheduled`` here, the embedded schedule.

    Leaving stops what runs. ``questions`` counts what the gateway was asked; while the records are
    not ``is_up``, it counts as not used, so that jobs wake them seldom. Without ``publish``
    nobody is told what changed; without ``prove`` nothing is proved; without ``through`` what is
    due is run here, with ``around`` put around each run. ``observer`` is told of all runs that the
    schedule hears of; without a schedule, of those that are made here. ``glance`` shows what other
    processes ran.
    """
    is_scheduled = settings.sync_enabled and scheduled
    runner = Runner(
        records,
        source,
        publish=publish or _unheard(records),
        prove=prove or _unproved,
        lease=lease or LocalLease(),
        awake=awake,
        wall=time.time,
        clock=time.monotonic,
        observer=None if is_scheduled else observer,
        most_drop=settings.sync_max_drop / 100,
    )
    if not is_scheduled:
        yield Upkeep(records, runner, None)
        return
    last_use = LastUse(questions, time.time)
    async with (
        through(runner) if through else nullcontext(around(runner) if around else runner) as runs,
        Scheduler(
            runs,
            list(jobs_for(settings.follow_players).values()),
            last_used=lambda: last_use() if is_up() else 0.0,
            wall=time.time,
            # It spreads gateways over time and guards nothing.
            jitter=random.random(),  # noqa: S311  # nosec B311
            glance=glance,
            on_ended=_telling(observer or SilentSyncObserver()),
        ) as scheduler,
    ):
        yield Upkeep(records, runner, scheduler)


def _telling(observer: SyncObserver) -> Callable[[JobState], None]:
    def tell(state: JobState) -> None:
        bad = "held" if state.holds else "failed"
        outcome = "good" if state.error is None else bad
        observer.sync_ended(state.job, outcome, state.ended_at - state.began_at)

    return tell


def _unheard(records: RecordStore) -> Publish:
    """Where nobody listens, everything has been told: its traces need not be kept."""

    async def publish(collection: str) -> int:
        generation = await records.generation(collection)
        if generation is not None:
            await records.mark_published(collection, generation.number)
        return 0

    return publish


async def _unproved(collection: Collection, rows: Sequence[bytes]) -> Mapping[str, Any]:
    return {}


def _request(
    operation: Operation, values: Mapping[str, str], query: Sequence[tuple[str, str]]
) -> UpstreamRequest:
    try:
        question = canonicalise(Match(operation, values), urlencode(query).encode())
    except RequestRefused as error:
        raise SyncError(f"{operation.name}: {error}") from error
    if question.ignored:
        # Sent without them it would be another question, and its answer taken for this one's.
        raise SyncError(f"{operation.name} has no {', '.join(question.ignored)}")
    return UpstreamRequest(
        method=operation.method,
        target=question.key.target,
        body=question.key.body,
        envelope=operation.envelope,
        repeatable=True,
        label=operation.name,
    )

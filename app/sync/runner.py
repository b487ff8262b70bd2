"""Runs a job: its collections one after the other, and what is remembered of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, AsyncExitStack
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import structlog

from app.cause import RUN_ID, caused_by, new_id
from app.errors import ContainerError, DrawbridgeError, StoreError, StoreUnavailable
from app.kingdom.collections import Collection
from app.records.store import JobState, RecordStore
from app.sync.doubt import Hold, hold_of
from app.sync.job import HOUR, Job
from app.sync.run import Brought, CollectionRun, Means, Prove, Publish
from app.sync.source import Source

log = structlog.get_logger(__name__)
DEADLINE = HOUR
"""Seconds that a job may take: 700 pages of raffle entries, paced, take a third of it."""

Progress = Callable[[str, int, int], None]
"""Told of a collection's name after each of its pages: rows so far, and calls. Must not raise."""
Lease = Callable[[str], AbstractAsyncContextManager[None]]
"""The right to run the job of this name; entering raises ``JobBusy`` if somebody has it."""
Awake = Callable[[], Awaitable[AbstractContextManager[object]]]
"""Wait until the store may be used; what is returned keeps it up. Raises ``ContainerError``."""


class SyncObserver(Protocol):
    """Told of every run of a job as it ends. Must not raise or block."""

    def sync_ended(self, job: str, outcome: str, seconds: float) -> None:
        """``outcome``: ``good``, ``held`` (something was not believed) or ``failed``."""


class SilentSyncObserver:
    """Takes no notice."""

    def sync_ended(self, job: str, outcome: str, seconds: float) -> None:
        """Nothing."""


@dataclass
class _Account:
    """What a run of a job comes to, as it goes on."""

    rows: int = 0
    changed: int = 0
    holds: dict[str, Any] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)

    @property
    def outcome(self) -> str:
        if self.errors:
            return "failed"
        return "held" if self.holds else "good"


class Runner:
    """Runs jobs into ``store`` from ``source``.

    ``publish`` tells what changed in a collection, ``prove`` gives facts about a collection that
    is served, ``lease`` is the right to run a job, ``awake`` has the store woken. ``wall`` counts
    from 1970, ``clock`` is monotonic. ``most_drop`` is the share of its rows that a collection may
    lose without an operator's word. A run has ended after ``deadline`` seconds.
    """

    def __init__(
        self,
        store: RecordStore,
        source: Source,
        *,
        publish: Publish,
        prove: Prove,
        lease: Lease,
        awake: Awake,
        wall: Callable[[], float],
        clock: Callable[[], float],
        observer: SyncObserver | None = None,
        most_drop: float = 0.2,
        deadline: float = DEADLINE,
    ) -> None:
        self._store = store
        self._means = Means(store, source, prove, publish, wall, most_drop)
        self._lease = lease
        self._awake = awake
        self._wall = wall
        self._clock = clock
        self._observer = observer or SilentSyncObserver()
        self._deadline = deadline
        self._last: dict[str, JobState] = {}

    async def states(self) -> Mapping[str, JobState]:
        """What is remembered of all jobs, also those that other processes ran.

        Raises ``ContainerError`` or ``StoreError``.
        """
        with await self._awake():
            self._last.update(await self._store.job_states())
        return dict(self._last)

    async def run(
        self, job: Job, *, progress: Progress | None = None, confirm: bool = False
    ) -> JobState:
        """Run ``job`` now, whether or not it is due; ``confirm``: believe whatever comes.

        What goes wrong is in the state that is returned, and kept unless the store cannot be had.
        Collections that are not at fault are brought up to date all the same. Raises ``JobBusy``.
        """
        with caused_by(run_id=RUN_ID.get() or new_id()):
            return await self._run(job, progress, confirm)

    async def _run(self, job: Job, progress: Progress | None, confirm: bool) -> JobState:
        began = self._clock()
        state = replace(self._last.get(job.name, JobState(job.name)), began_at=self._wall())
        account = _Account()
        async with AsyncExitStack() as held:
            woken = False
            try:
                held.enter_context(await self._awake())
                woken = True
                await held.enter_async_context(self._lease(job.name))
                state = await self._begin(state)
                await self._collect(job, state, account, progress, confirm)
            except (ContainerError, StoreError) as error:
                account.errors.append(_words(error))
            state = _ended(state, account, self._wall(), self._clock() - began)
            self._last[job.name] = state
            if woken:
                await self._keep(state)
        self._tell(state, account)
        return state

    async def _begin(self, state: JobState) -> JobState:
        known = (await self._store.job_states()).get(state.job, state)
        state = replace(known, began_at=state.began_at)
        await self._store.put_job_state(state)
        return state

    async def _collect(
        self,
        job: Job,
        state: JobState,
        account: _Account,
        progress: Progress | None,
        confirm: bool,
    ) -> None:
        try:
            async with asyncio.timeout(self._deadline) as limit:
                for collection in job.collections:
                    await self._bring(job, collection, state, account, progress, confirm)
        except TimeoutError:
            if not limit.expired():
                raise
            account.errors.append(f"it was not through after {self._deadline:g} s")

    async def _bring(
        self,
        job: Job,
        collection: Collection,
        state: JobState,
        account: _Account,
        progress: Progress | None,
        confirm: bool,
    ) -> None:
        """Bring one collection up to date; what goes wrong there is no reason to stop, unless no
        other can be kept either."""
        name = collection.name

        def watch(rows: int, calls: int) -> None:
            if progress is not None:
                progress(name, rows, calls)

        hold = hold_of(state.holds, name)
        try:
            brought = await CollectionRun(self._means, collection, watch).run(hold, confirm=confirm)
        except StoreUnavailable:
            raise
        except DrawbridgeError as error:
            _miss(account, name, hold, _words(error))
        except Exception as error:
            log.exception("a job met an error of ours", job=job.name, collection=name)
            _miss(account, name, hold, f"{type(error).__name__}: an error of ours, see the log")
        else:
            _add(account, name, brought)

    async def _keep(self, state: JobState) -> None:
        try:
            await self._store.put_job_state(state)
        except StoreError as error:
            log.warning("what became of a job is not kept", job=state.job, reason=str(error))

    def _tell(self, state: JobState, account: _Account) -> None:
        self._observer.sync_ended(state.job, account.outcome, state.ended_at - state.began_at)
        if account.outcome != "good":
            log.warning(
                "a job did not bring everything", job=state.job, failures=state.failures,
                reason=state.error,
            )  # fmt: skip
        else:
            log.info(
                "a job was run", job=state.job, rows=state.rows, changed=state.changed,
                seconds=round(state.seconds, 1),
            )  # fmt: skip


def _add(account: _Account, name: str, brought: Brought) -> None:
    account.rows += brought.rows
    account.changed += brought.written
    if brought.hold is not None:
        account.holds[name] = brought.hold.as_json()


def _miss(account: _Account, name: str, hold: Hold | None, reason: str) -> None:
    """A run that saw nothing neither confirms a suspicion nor lifts it."""
    account.errors.append(f"{name}: {reason}")
    if hold is not None:
        account.holds[name] = hold.as_json()


def _ended(state: JobState, account: _Account, now: float, seconds: float) -> JobState:
    held = [f"{name}: held, {hold['words']}" for name, hold in account.holds.items()]
    reasons: Sequence[str] = [*account.errors, *held]
    state = replace(state, ended_at=now, holds=account.holds)
    if reasons:
        return replace(state, failures=state.failures + 1, error="; ".join(reasons))
    return replace(
        state, good_at=now, failures=0, error=None, rows=account.rows, changed=account.changed,
        seconds=seconds,
    )  # fmt: skip


def _words(error: DrawbridgeError) -> str:
    return str(error) or type(error).__name__

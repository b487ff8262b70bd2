"""Jobs of a gateway that are run by workers: sent when they are due, and the workers kept up.

In place of the runner it stands behind the same schedule: where that one runs a job, this one
sends a message, unless somebody did. As long as workers have anything to do, what they need is
leased: their own container, and that of the database in which they keep what they bring.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from typing import NoReturn, Protocol

import structlog

from app.cause import REQUEST_ID, TRACEPARENT
from app.coordination.link import Away, Door
from app.errors import JobBusy, JobSent, QueueError
from app.owned_task import OwnsTask
from app.records.store import JobState
from app.sync.errand import Errand
from app.sync.job import JOBS, Job
from app.sync.runner import Progress
from app.waiting import set_within

log = structlog.get_logger(__name__)
LOOK = 2.0
"""Seconds from one look at what workers do to the next."""
UNHEARD = 600.0
"""Seconds for which workers are kept up while nobody can say whether they work."""


class Queue(Protocol):
    """Sends messages (``app.job_queue.JobQueue``)."""

    async def send(self, errand: Errand) -> bool: ...


class Leases(Protocol):
    """What is known of the workers (``app.coordination.job_lease.JobLeases``)."""

    async def orphans(self) -> list[str]: ...

    async def under_way(self, jobs: Sequence[str], now: float) -> int: ...


class Dispatch(OwnsTask):
    """See ``app.sync.scheduler.Runs``. Leaving lets go of what workers need.

    ``states`` reads what is remembered of all jobs. ``doors`` lead to what workers need; ``broker``
    is the one to their Redis.
    """

    task_name = "dispatch"

    def __init__(
        self,
        queue: Queue,
        leases: Leases,
        *,
        states: Callable[[], Awaitable[Mapping[str, JobState]]],
        doors: Sequence[Door],
        broker: Door,
        wall: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
        look: float = LOOK,
    ) -> None:
        self._queue = queue
        self._leases = leases
        self._states = states
        self._kept_up = [_KeptUp(door) for door in (broker, *doors)]
        self._broker = broker
        self._wall = wall
        self._clock = clock
        self._look = look
        self._heard_at = -math.inf
        self._owed: dict[str, Errand] = {}
        self._failing = self._broken = False
        self._stir = asyncio.Event()

    async def __aexit__(self, *error: object) -> None:
        await super().__aexit__(*error)
        self._keep_up(False)

    async def states(self) -> Mapping[str, JobState]:
        """What is remembered of all jobs. Raises ``ContainerError`` or ``StoreError``."""
        return await self._states()

    async def run(
        self, job: Job, *, progress: Progress | None = None, confirm: bool = False
    ) -> NoReturn:
        """Have a worker run ``job``; nobody here waits for it.

        Raises ``JobSent`` when a message was sent, or will be as soon as there is a way to send
        one; ``JobBusy`` if a message waits already, or the job is being run.
        """
        errand = Errand(job.name, self._wall(), confirm, REQUEST_ID.get(), TRACEPARENT.get())
        if not await self._send(errand):
            raise JobBusy(f"{job.name} is under way: a worker runs it, or is about to")
        raise JobSent(f"{job.name} will be run by a worker")

    async def _send(self, errand: Errand) -> bool:
        self._stir.set()
        try:
            sent = await self._queue.send(errand)
        except QueueError as error:
            self._owed[errand.job] = errand
            if not self._failing:
                self._failing = True
                log.warning("no message can be sent to the workers now", reason=str(error))
            return True
        self._owed.pop(errand.job, None)
        if self._failing:
            self._failing = False
            log.info("messages to the workers are sent again")
        return sent

    async def _run(self) -> None:
        while True:
            try:
                await self._see_to_workers()
            except Exception as error:
                # The boundary of the task: an error of ours must not end it for good.
                if not self._broken:
                    self._broken = True
                    log.exception("workers are not looked after", reason=str(error))
            else:
                self._broken = False
            self._stir.clear()
            await set_within(self._stir, self._look)

    async def _see_to_workers(self) -> None:
        for errand in tuple(self._owed.values()):
            await self._send(errand)
        try:
            for name in await self._leases.orphans():
                if name in JOBS:
                    log.warning("a run was left behind, and is begun anew", job=name)
                    self._owed[name] = Errand(name, self._wall())
            for errand in tuple(self._owed.values()):
                await self._send(errand)
            busy = await self._leases.under_way(tuple(JOBS), self._wall()) > 0
        except Away:
            # Asleep, it has nothing to do for anybody. Dead or deaf, it may be back soon.
            unsure = self._broker.is_open and self._clock() - self._heard_at < UNHEARD
            busy = unsure and any(one.is_kept for one in self._kept_up)
        else:
            self._heard_at = self._clock()
        self._keep_up(busy or bool(self._owed))

    def _keep_up(self, busy: bool) -> None:
        for one in self._kept_up:
            one.keep(busy)


class _KeptUp:
    """One door, and the lease on what is behind it."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._lease: AbstractContextManager[object] | None = None
        self._held = ExitStack()

    @property
    def is_kept(self) -> bool:
        return self._lease is not None

    def keep(self, wanted: bool) -> None:
        """Hold a lease if it is ``wanted``; what is not up is woken, and leased later."""
        if self._lease is not None and not (wanted and self._door.is_open):
            self._held.close()
            self._lease = None
        if wanted and self._lease is None:
            self._lease = self._door.enter()
            if self._lease is not None:
                self._held.enter_context(self._lease)

"""Celery's beat: sends messages about jobs by the clock, whoever asks for what.

A gateway knows how much it is used, and sends what is due for it. Beat knows nothing, and keeps
the kingdom as fresh as it is kept when nobody looks: each job in its quiet cadence, and the daily
ones right after the roll-over. It also sees runs that were left behind by a worker that died.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any, cast

import structlog
from celery import Celery
from celery.beat import PersistentScheduler, Service
from celery.schedules import crontab

from app.coordination.job_lease import JobLeases
from app.coordination.link import Away
from app.coordination.meeting import open_job_leases
from app.errors import QueueError
from app.job_queue import TASK, JobQueue
from app.sync.errand import Errand
from app.sync.job import JOBS, Job

_log = structlog.get_logger(__name__)
LOOK = 2.0
"""Seconds from one look at what was left behind to the next."""
_EARLY = 0.1
"""Part of the cadence by which a run may have begun before its time and still be the one meant."""
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
_ROLL_OVER = crontab(minute=1, hour=0)
_DAY_BEGAN = 60.0


def schedule() -> dict[str, dict[str, Any]]:
    """Beat's entries. ``within``: a run that began in so many seconds before makes it needless."""
    entries = {}
    for job in JOBS.values():
        entries[job.name] = {
            **_entry(job, (1 - _EARLY) * job.quiet),
            "schedule": timedelta(seconds=job.quiet),
            # One that is new to the file is due at once.
            "last_run_at": _LONG_AGO,
        }
        if job.daily:
            entries[f"{job.name}-roll-over"] = {**_entry(job, _DAY_BEGAN), "schedule": _ROLL_OVER}
    return entries


def _entry(job: Job, within: float) -> dict[str, Any]:
    return {"task": TASK, "args": [job.name], "kwargs": {"within": within}}


def run_beat(
    app: Celery, broker: str, realm: str, folder: Path, on_ready: Callable[[], None]
) -> None:
    """Send messages until SIGTERM or SIGINT; what was sent when is kept in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    app.conf.beat_schedule = schedule()
    with asyncio.Runner() as runner:
        opening = open_job_leases(broker, realm)
        leases = runner.run(opening.__aenter__())
        queue = JobQueue(app, leases)
        # Whatever makes a scheduler is taken for its class.
        clock = cast(type[Clock], partial(Clock, runner=runner, leases=leases, queue=queue))
        service = Service(app, schedule_filename=str(folder / "beat-schedule"), scheduler_cls=clock)

        def stop(_: int, __: FrameType | None) -> None:
            service.stop()

        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, stop)
        on_ready()
        try:
            service.start()
        finally:
            runner.run(queue.aclose())
            runner.run(opening.__aexit__(None, None, None))


class Clock(PersistentScheduler):
    """Sends through ``queue`` what Celery's schedule says is due, and what was left behind.

    What could not be sent is sent as soon as the broker is back.
    """

    producer: Any = None  # Celery's would wait for the broker, and nothing else be done meanwhile.

    def __init__(
        self,
        *args: Any,
        runner: asyncio.Runner,
        leases: JobLeases,
        queue: JobQueue,
        **kwargs: Any,
    ) -> None:
        self._runner = runner
        self._leases = leases
        self._queue = queue
        self._owed: dict[str, float] = {}
        self._look_at = 0.0
        super().__init__(*args, **kwargs)

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Send what is due, and say when to come again."""
        again = super().tick(*args, **kwargs)
        if time.monotonic() >= self._look_at:
            self._look_at = time.monotonic() + LOOK
            self._runner.run(self._see_to_others())
        return min(again, LOOK)

    def apply_async(self, entry: Any, *_: Any, **__: Any) -> None:
        """Send the message of an entry that is due, or owe it."""
        [name], kwargs = entry.args, entry.kwargs
        self._owed[name] = time.time() - kwargs["within"]
        self._runner.run(self._pay())

    async def _see_to_others(self) -> None:
        try:
            left_behind = await self._leases.orphans()
        except Away:
            return
        for name in left_behind:
            if name in JOBS:
                _log.warning("a run was left behind, and is begun anew", job=name)
                self._owed[name] = time.time()
        await self._pay()

    async def _pay(self) -> None:
        for name, since in tuple(self._owed.items()):
            try:
                await self._queue.send(Errand(name, since))
            except QueueError:
                # Told by the link to Redis, once.
                return
            del self._owed[name]

"""What workers do: the one task, the worker around it, and how a job ends with its worker.

A worker's main process takes messages; a process of its pool runs the job in an event loop of its
own, with parts that are opened for it and closed again.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Any, Self

import structlog
import uvloop
from celery import Celery, Task, signals
from celery.exceptions import Reject
from celery.worker import state as worker_state

from app.answering import realm
from app.cause import caused_by
from app.config import Settings
from app.coordination.job_lease import LEASE
from app.coordination.meeting import open_job_leases
from app.errors import DrawbridgeError
from app.job_queue import HARD_LIMIT, TASK, celery_app
from app.jobs import open_sync
from app.sync.errand import Errand, fulfil
from app.sync.job import jobs_for
from app.tracing.opening import WORKER, make_tracing

if TYPE_CHECKING:
    from app.tracing.spans import Tracing

_log = structlog.get_logger(__name__)
GRACE = 5.0
"""Seconds that a job has to end by itself when its worker is stopped; then it is given back."""

PATIENCE = 1.5 * LEASE
"""Seconds after which the right to a job is not that of a process that is dead."""

Perform = Callable[[Settings, Errand], Awaitable[Mapping[str, Any]]]
"""Carries out an errand; what it returns is kept where there is a result backend."""


async def perform(
    settings: Settings, errand: Errand, tracing: Tracing | None = None
) -> dict[str, Any]:
    """Open what a job needs, run it if it is still wanted, and close everything again."""
    if settings.broker is None:
        raise ValueError("there is no broker")
    broker = settings.broker.get_secret_value()
    async with open_job_leases(broker, realm(settings)) as leases:
        try:
            async with open_sync(settings, leases.lease, tracing) as runner:
                job = jobs_for(settings.follow_players)[errand.job]
                outcome = await fulfil(errand, runner, job, patience=PATIENCE)
        finally:
            await leases.answered(errand.job)
    return {"job": errand.job, "outcome": outcome.value}


def _performing(settings: Settings) -> Perform:
    """``perform``, with what a process of the pool keeps from one job to the next."""
    made = cache(lambda: make_tracing(settings, WORKER))

    async def traced(settings: Settings, errand: Errand) -> Mapping[str, Any]:
        # Made here, and not in the worker's main process: it has a thread.
        tracing = made()
        try:
            return await perform(settings, errand, tracing)
        finally:
            if tracing is not None:
                await asyncio.to_thread(tracing.flush)

    return traced


def make_celery(
    settings: Settings,
    perform: Perform | None = None,
    *,
    hard_limit: float = HARD_LIMIT,
    tell_errors: Callable[[], None] = lambda: None,
) -> Celery:
    """The application with its task: what a worker runs; ``perform`` is in place of our own.

    ``tell_errors`` is called when a job broke, and may take a moment. Raises ``ValueError`` without
    a broker.
    """
    app = celery_app(settings, realm(settings), hard_limit=hard_limit)
    carry_out = perform or _performing(settings)

    @app.task(name=TASK, bind=True)
    def sync(self: Task[Any, Any], /, **wish: Any) -> Mapping[str, Any]:
        try:
            errand = Errand(**wish)
        except (TypeError, ValueError) as error:
            # Of another version, or not from us: nobody here can do it, now or later.
            _log.warning("a message was refused", reason=str(error))
            raise Reject(str(error), requeue=False) from None
        cause = caused_by(
            request_id=errand.request_id,
            # By which Celery's own lines call it too.
            run_id=self.request.id,
            traceparent=errand.traceparent,
        )
        with cause, _StopSignal() as stop:
            try:
                return uvloop.run(stop.heeded_by(carry_out(settings, errand)))
            except asyncio.CancelledError:
                _log.info("a job is given back: its worker stops", job=errand.job)
                raise Reject("its worker stops", requeue=True) from None
            except Exception as error:
                if not isinstance(error, DrawbridgeError):
                    _log.exception("a job broke", job=errand.job)
                raise
            finally:
                tell_errors()

    return app


class _StopSignal:
    """SIGTERM to a process of the pool, while the block runs: a job has ``GRACE`` to end by itself,
    and is cancelled then.

    Before and after the job it is heard, and nothing else: a process that dies while it still has
    to tell what became of a job leaves a worker that waits for that word for ever.
    """

    def __init__(self) -> None:
        self._came = False
        self._cancel_later: Callable[[], object] | None = None

    def __enter__(self) -> Self:
        self._before = signal.signal(signal.SIGTERM, self._hear)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGTERM, self._before)

    async def heeded_by(self, work: Awaitable[Mapping[str, Any]]) -> Mapping[str, Any]:
        """Do ``work``; raises ``CancelledError`` if told to stop, and it did not end in time."""
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None  # noqa: S101  # nosec B101

        def cancel_later() -> None:
            # What a signal interrupts may not touch the loop: it only leaves word.
            loop.call_soon_threadsafe(lambda: loop.call_later(GRACE, task.cancel))

        self._cancel_later = cancel_later
        try:
            if self._came:
                self._cancel_later()
            return await work
        finally:
            self._cancel_later = None

    def _hear(self, *_: object) -> None:
        self._came = True
        if self._cancel_later is not None:
            self._cancel_later()


def run_worker(app: Celery, concurrency: int, on_ready: Callable[[], None]) -> int:
    """Take messages until SIGTERM or SIGINT; the exit code. Logging is set up already."""

    def leave_the_log_alone(**_: object) -> None:
        return

    def announce(**_: object) -> None:
        on_ready()

    ends: list[str] = []

    def tell_jobs(how: str, **_: object) -> None:
        ends.append(how)
        _tell_jobs()

    signals.setup_logging.connect(leave_the_log_alone)
    signals.worker_ready.connect(announce)
    signals.worker_shutting_down.connect(tell_jobs)
    worker = app.Worker(
        concurrency=concurrency,
        pool="prefork",
        quiet=True,
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
    )
    worker.start()
    # To Celery an end by Ctrl-C is a failure, however good its order.
    return 0 if ends == ["Warm"] else int(worker.exitcode or 0)


def _tell_jobs() -> None:
    """Have every job of this worker end, or be given back."""
    for request in tuple(worker_state.active_requests):
        with suppress(ProcessLookupError):
            os.kill(request.worker_pid, signal.SIGTERM)

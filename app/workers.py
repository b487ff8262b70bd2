"""Several processes at one address: a parent that only watches, and workers that serve.

The parent binds, and the workers inherit its socket. Each worker has a line to its parent: on it
it tells that it is ready, or why it cannot be. "Stop" on the line, or the end of the line because
the parent is gone, ends the worker as SIGTERM ends a single process.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, Pipe, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from types import FrameType
from typing import NamedTuple

import structlog
import uvloop

from app.config import Settings, load_settings
from app.error_reports import reported_errors
from app.errors import DrawbridgeError, SettingsError
from app.logs import configure_logging
from app.main import run_gateway
from app.metrics import WorkerPlace
from app.serving import GRACE

_log = structlog.get_logger(__name__)
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_CLOSING = 5.0
"""Seconds for a worker to close its parts, after those that its requests have."""
_READY = "ready"
_STOP = "stop"
STEADY = 30.0
"""Seconds after which a worker that ends had done well."""
PAUSES = (0.0, 0.5, 1.0, 2.0, 5.0)
"""Seconds before the next worker, after the first, second ... in a row that ended too soon."""


@dataclass(frozen=True, slots=True)
class History:
    """What is known of one place among the workers: since when the worker there runs, and how
    many in a row ended before it, each too soon."""

    started: float
    ends: int = 0


@dataclass(frozen=True, slots=True)
class Replace:
    """Start the next worker in ``after`` seconds; ``ends`` is for its history."""

    after: float
    ends: int


def when_ended(history: History, now: float, *, begun: bool) -> Replace | None:
    """What to do when a worker ended that nobody stopped; ``None``: give up.

    ``begun``: all workers once served. Before that the fault is in the settings or the machine,
    and the next worker would meet it too.
    """
    if not begun:
        return None
    ends = 0 if now - history.started >= STEADY else history.ends
    return Replace(PAUSES[min(ends, len(PAUSES) - 1)], ends + 1)


def run_workers(count: int, listening: socket.socket, on_ready: Callable[[], None]) -> bool:
    """Serve from ``count`` processes until SIGINT or SIGTERM (twice: at once).

    ``on_ready`` is called once, when all of them accept requests. Whether all ended by
    themselves. Raises ``DrawbridgeError`` when one of them cannot start in the first place.
    """
    with figures_folder() as folder, _Signals() as signals:
        places = [WorkerPlace(number, count, folder) for number in range(count)]
        workers = [_Worker(place, listening) for place in places]
        return _Supervisor(workers, listening, signals, on_ready).run()


@contextlib.contextmanager
def figures_folder() -> Iterator[Path]:
    """A fresh folder, where the workers keep what they count; gone afterwards."""
    # In memory where there is such a place: what is counted is written all the time, and a disk
    # that is full would end a process that writes to a mapped file.
    memory = Path("/dev/shm")  # noqa: S108  # nosec B108
    base = memory if memory.is_dir() else None
    try:
        made = tempfile.TemporaryDirectory(
            prefix="drawbridge-", dir=base, ignore_cleanup_errors=True
        )
    except OSError:
        made = tempfile.TemporaryDirectory(prefix="drawbridge-", ignore_cleanup_errors=True)
    with made as folder:
        yield Path(folder)


class _Signals:
    """SIGINT and SIGTERM while the block runs: how many came, and something to wait on."""

    def __init__(self) -> None:
        self.count = 0
        self._heard, self._told = socket.socketpair()
        for end in (self._heard, self._told):
            end.setblocking(False)

    def fileno(self) -> int:
        return self._heard.fileno()

    def drain(self) -> None:
        """Be waited on again."""
        with contextlib.suppress(BlockingIOError):
            self._heard.recv(64)

    def __enter__(self) -> _Signals:
        self._wakeup = signal.set_wakeup_fd(self._told.fileno(), warn_on_full_buffer=False)
        self._before = {number: signal.signal(number, self._note) for number in _SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, old in self._before.items():
            signal.signal(number, old)
        signal.set_wakeup_fd(self._wakeup)
        self._heard.close()
        self._told.close()

    def _note(self, _: int, __: FrameType | None) -> None:
        self.count += 1


class _Refusal(NamedTuple):
    """Why a worker does not start, as values: exceptions with fields do not survive a line."""

    of_settings: bool
    problems: tuple[str, ...]

    def error(self) -> DrawbridgeError:
        if self.of_settings:
            return SettingsError(self.problems)
        return DrawbridgeError("\n".join(self.problems))


class _Worker:
    """One place among the workers, and the process that holds it, if one does."""

    def __init__(self, place: WorkerPlace, listening: socket.socket) -> None:
        self.place = place
        self.history = History(0.0)
        self.due = 0.0
        """When the next process is to be started, if there is none."""
        self.ready = False
        self.refusal: _Refusal | None = None
        self._listening = listening
        self._process: SpawnProcess | None = None
        self._line: Connection | None = None

    @property
    def runs(self) -> bool:
        return self._process is not None

    def start(self, now: float) -> None:
        """Start a process; what went before is history."""
        self.history = History(now, self.history.ends)
        self.ready, self.refusal = False, None
        self._line, theirs = Pipe()
        self._process = multiprocessing.get_context("spawn").Process(
            target=_work, args=(self.place, self._listening, theirs), name=f"worker {self.place}"
        )
        # Only the parent tells a worker to stop, or a signal to the whole group, as a terminal
        # and systemd send it, would be a second one. It is born with both blocked.
        with theirs:
            before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
            try:
                self._process.start()
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def awaited(self) -> list[int | Connection]:
        """What to wait on: its end, and what it says until it is ready."""
        if self._process is None or self._line is None:
            return []
        return [self._process.sentinel] + ([] if self.ready or self.refusal else [self._line])

    def hear(self) -> None:
        """Take in what it said."""
        with contextlib.suppress(EOFError, OSError):
            while self._line is not None and self._line.poll():
                said = self._line.recv()
                if isinstance(said, _Refusal):
                    self.refusal = said
                self.ready = self.ready or said == _READY

    def ended(self) -> int | None:
        """Its exit code, told once after it ended; ``None`` while it runs, or if none does."""
        if self._process is None or self._process.exitcode is None:
            return None
        self.hear()
        code = self._process.exitcode
        self._process.close()
        self._process = None
        if self._line is not None:
            self._line.close()
        return code

    def tell_to_stop(self) -> None:
        """Have it end what it does, and itself."""
        if self._line is not None:
            with contextlib.suppress(OSError):
                self._line.send(_STOP)

    def kill(self) -> None:
        """End it now."""
        if self._process is not None:
            self._process.kill()
            self._process.join()


class _Supervisor:
    """Owns the workers' processes: starts, watches, replaces and ends them."""

    def __init__(
        self,
        workers: Sequence[_Worker],
        listening: socket.socket,
        signals: _Signals,
        on_ready: Callable[[], None],
    ) -> None:
        self._workers = workers
        self._listening = listening
        self._signals = signals
        self._on_ready = on_ready
        self._begun = False

    def run(self) -> bool:
        # It is started with the first process otherwise, and unblocks the signals that are to be
        # blocked just then.
        resource_tracker.ensure_running()
        try:
            while not self._signals.count:
                self._turn()
        finally:
            ended_well = self._end_all()
        return ended_well

    def _turn(self) -> None:
        """Start what is due, wait until something happens, and see to it."""
        now = time.monotonic()
        missing = [worker for worker in self._workers if not worker.runs]
        for worker in missing:
            if worker.due <= now:
                worker.start(now)
        due = [worker.due - now for worker in missing if not worker.runs]
        self._wait(min(due, default=None))
        for worker in self._workers:
            worker.hear()
            code = worker.ended()
            if code is not None:
                self._see_to(worker, code)
        if not self._begun and all(worker.ready for worker in self._workers):
            self._begun = True
            self._on_ready()

    def _see_to(self, worker: _Worker, code: int) -> None:
        """Have the next one started; raises if there is no hope."""
        now = time.monotonic()
        how = _how(code)
        verdict = when_ended(worker.history, now, begun=self._begun)
        if verdict is None:
            if worker.refusal is not None:
                raise worker.refusal.error()
            raise DrawbridgeError(f"Cannot start. A worker ended before it was ready, by {how}.")
        worker.due = now + verdict.after
        worker.history = History(now, verdict.ends)
        _log.warning(
            "a worker ended and is replaced",
            worker=worker.place.number,
            ended_by=how,
            next_in=verdict.after,
            **({"reason": worker.refusal.problems} if worker.refusal else {}),
        )

    def _end_all(self) -> bool:
        """Let all end, and kill those that do not. Whether none was killed."""
        # Nobody will accept what comes now: it should be refused, and not wait.
        self._listening.close()
        for worker in self._workers:
            worker.tell_to_stop()
        deadline = time.monotonic() + GRACE + _CLOSING
        while running := [worker for worker in self._workers if worker.runs]:
            left = deadline - time.monotonic()
            if left <= 0 or self._signals.count > 1:
                break
            self._wait(left)
            for worker in running:
                worker.ended()
        for worker in running:
            worker.kill()
            worker.ended()
        return not running

    def _wait(self, seconds: float | None) -> None:
        awaited = [one for worker in self._workers for one in worker.awaited()]
        wait([self._signals.fileno(), *awaited], seconds)
        self._signals.drain()


def _how(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"


def _work(place: WorkerPlace, listening: socket.socket, line: Connection) -> None:
    """A worker's life. Settings are read anew, so that no secret is handed on."""
    try:
        settings = load_settings()
        configure_logging(settings)
        structlog.contextvars.bind_contextvars(worker=place.number)
        with reported_errors(settings):
            was_ready = uvloop.run(_serve(settings, place, listening, line))
    except DrawbridgeError as error:
        of_settings = isinstance(error, SettingsError)
        problems = error.problems if isinstance(error, SettingsError) else (str(error),)
        _tell(line, _Refusal(of_settings, problems))
        was_ready = False
    finally:
        if _parent_is_gone(line):
            shutil.rmtree(place.folder, ignore_errors=True)
    if not was_ready:
        sys.exit(1)


async def _serve(
    settings: Settings, place: WorkerPlace, listening: socket.socket, line: Connection
) -> bool:
    loop = asyncio.get_running_loop()

    def stop() -> None:
        loop.remove_reader(line.fileno())
        on_signal = signal.getsignal(signal.SIGTERM)
        if callable(on_signal):
            on_signal(signal.SIGTERM, None)
        else:  # Nothing is served yet, and nothing has to end.
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
            signal.raise_signal(signal.SIGTERM)

    loop.add_reader(line.fileno(), stop)
    return await run_gateway(settings, listening, lambda: _tell(line, _READY), worker=place)


def _tell(line: Connection, message: str | _Refusal) -> None:
    """Tell the parent; one that is gone needs not know."""
    with contextlib.suppress(OSError):
        line.send(message)


def _parent_is_gone(line: Connection) -> bool:
    try:
        return line.poll() and line.recv() != _STOP
    except (EOFError, OSError):
        return True

"""How far sync jobs are: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from app.records.store import JobState
from app.sync.job import Job


class SyncProgress:
    """Enter it, and tell it what happens; ``quiet``: it says nothing."""

    def __init__(self, *, quiet: bool = False, console: Console | None = None) -> None:
        self._console = console or Console(quiet=quiet)
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            TextColumn("{task.fields[rows]} rows"),
            TextColumn("{task.fields[rate]:.0f}/s"),
            TextColumn("{task.fields[calls]} calls"),
            TimeElapsedColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
            transient=True,
        )
        self._task: TaskID | None = None
        self._job = self._collection = ""
        self._before = self._rows = self._calls = 0
        self._began = 0.0

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def begin(self, job: Job) -> None:
        """``job`` begins."""
        self._job, self._collection = job.name, ""
        self._before = self._rows = self._calls = 0
        self._began = time.monotonic()
        self._task = self._bar.add_task(job.name, total=None, rows=0, rate=0.0, calls=0)

    def seen(self, collection: str, rows: int, calls: int) -> None:
        """So many rows of ``collection`` were fetched so far, in so many calls."""
        if collection != self._collection:
            self._before += self._rows
            self._collection = collection
        self._rows, self._calls = rows, calls
        if self._task is not None:
            total = self._before + rows
            rate = total / max(time.monotonic() - self._began, 0.001)
            words = f"{self._job}: {collection}"
            self._bar.update(self._task, description=words, rows=total, rate=rate, calls=calls)

    def end(self, state: JobState) -> None:
        """It has ended so."""
        seconds = max(time.monotonic() - self._began, 0.001)
        total = self._before + self._rows
        done = (
            f"{total} rows, {state.changed} changed, {seconds:.1f} s, {total / seconds:.0f} rows/s"
        )
        self._say(f"{state.job}: {done if state.error is None else state.error}")

    def skip(self, job: Job, why: str) -> None:
        """It is not run."""
        self._say(f"{job.name}: skipped, {why}")

    def _say(self, line: str) -> None:
        if self._task is not None:
            self._bar.remove_task(self._task)
            self._task = None
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)

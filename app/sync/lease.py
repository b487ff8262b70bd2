"""The right to run a job, where there is one process alone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.errors import JobBusy


class LocalLease:
    """Lets each job be run once at a time within this process; two processes on one store are
    kept apart by the drafts: the older one is void."""

    def __init__(self) -> None:
        self._held: set[str] = set()

    @asynccontextmanager
    async def __call__(self, job: str) -> AsyncIterator[None]:
        """Hold the right to run ``job``. Raises ``JobBusy`` at once if somebody has it."""
        if job in self._held:
            raise JobBusy(f"{job} is running")
        self._held.add(job)
        try:
            yield
        finally:
            self._held.discard(job)

"""One run of a job at a time within one process, where no other shares anything with it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from app.errors import JobBusy

JobLease = Callable[[str], AbstractAsyncContextManager[None]]
"""Held by whoever runs the job of that name; raises ``JobBusy`` when somebody else does. A block
that loses it is cancelled, and ``JobLost`` raised in its place."""


def alone() -> JobLease:
    """Leases that count in this process only; they are never lost."""
    held: set[str] = set()

    @asynccontextmanager
    async def lease(job: str) -> AsyncIterator[None]:
        if job in held:
            raise JobBusy(job, f"{job} is under way")
        held.add(job)
        try:
            yield
        finally:
            held.remove(job)

    return lease

"""One run of a job at a time in a process."""

from __future__ import annotations

import pytest

from app.errors import JobBusy
from app.sync.lease import LocalLease


async def test_a_job_is_held_once_and_let_go() -> None:
    lease = LocalLease()
    async with lease("items"), lease("clans"):
        with pytest.raises(JobBusy, match="items"):
            async with lease("items"):
                raise AssertionError("two of one")
    async with lease("items"):
        pass


async def test_a_run_that_fails_lets_go() -> None:
    lease = LocalLease()
    with pytest.raises(ZeroDivisionError):
        async with lease("items"):
            raise ZeroDivisionError
    async with lease("items"):
        pass

"""One run at a time within one process."""

from __future__ import annotations

import pytest

from app.errors import JobBusy
from app.sync.lease import alone


async def test_a_job_is_held_once_at_a_time_and_others_are_free() -> None:
    lease = alone()
    async with lease("items"):
        with pytest.raises(JobBusy, match="items is under way") as raised:
            async with lease("items"):
                pytest.fail("it is held")
        assert raised.value.job == "items"
        async with lease("clans"):
            pass
    async with lease("items"):
        pass


async def test_it_is_free_again_after_a_run_that_failed() -> None:
    lease = alone()
    with pytest.raises(ValueError, match="of the run"):
        async with lease("items"):
            raise ValueError("of the run")
    async with lease("items"):
        pass


async def test_two_of_them_know_nothing_of_each_other() -> None:
    one, two = alone(), alone()
    async with one("items"), two("items"):
        pass

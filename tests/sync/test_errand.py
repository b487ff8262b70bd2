"""How a worker fulfils a wish, at whatever time it comes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest

from app.errors import JobBusy
from app.records.store import JobState
from app.sync.errand import Errand, Outcome, fulfil, is_fulfilled
from app.sync.job import JOBS, Job
from app.sync.runner import Progress

WISH = Errand("items", since=100.0)


@pytest.mark.parametrize(
    ("state", "fulfilled"),
    [
        (None, False),
        (JobState("items"), False),
        (JobState("items", began_at=99.0, ended_at=120.0), False),
        (JobState("items", began_at=100.0, ended_at=100.0), True),
        (JobState("items", began_at=110.0, ended_at=120.0, failures=1, error="why"), True),
        # It is under way, or whoever ran it died.
        (JobState("items", began_at=110.0, ended_at=99.0), False),
    ],
)
def test_a_run_that_began_since_and_ended_is_enough(
    state: JobState | None, fulfilled: bool
) -> None:
    assert is_fulfilled(WISH, state) is fulfilled


def test_a_job_that_does_not_exist_is_refused_with_the_names_of_those_that_do() -> None:
    with pytest.raises(ValueError, match=r"no job 'itens'; there are definitions, items"):
        Errand("itens", 0.0)


class Runner:
    """Runs jobs as quickly as the loop turns; as busy as a test says."""

    def __init__(self, busy: int = 0) -> None:
        self.busy = busy
        """So many attempts find it busy."""
        self.then = JobState("items")
        """What is known once it is not busy any more."""
        self.runs: list[tuple[str, bool]] = []
        self.known = JobState("items")

    async def states(self) -> Mapping[str, JobState]:
        return {"items": self.known}

    async def run(
        self, job: Job, *, progress: Progress | None = None, confirm: bool = False
    ) -> JobState:
        if self.busy:
            self.busy -= 1
            if not self.busy:
                self.known = self.then
            raise JobBusy(job.name)
        self.runs.append((job.name, confirm))
        self.known = JobState(job.name, began_at=101.0, ended_at=102.0)
        return self.known


async def test_of_ten_errands_for_one_thing_one_is_run() -> None:
    runner = Runner()
    outcomes = [await fulfil(WISH, runner, JOBS[WISH.job], patience=1.0) for _ in range(10)]
    assert outcomes == [Outcome.RAN] + [Outcome.NOT_NEEDED] * 9
    assert runner.runs == [("items", False)]


async def test_what_an_operator_confirmed_is_told_to_the_runner() -> None:
    runner = Runner()
    await fulfil(Errand("items", 100.0, confirm=True), runner, JOBS["items"], patience=1.0)
    assert runner.runs == [("items", True)]


async def test_the_right_of_one_who_died_is_waited_out() -> None:
    runner = Runner(busy=3)
    assert await fulfil(WISH, runner, JOBS[WISH.job], patience=0.4) is Outcome.RAN
    assert runner.runs == [("items", False)]


async def test_what_another_one_did_meanwhile_is_not_done_again() -> None:
    runner = Runner(busy=2)
    runner.then = JobState("items", began_at=101.0, ended_at=103.0)
    assert await fulfil(WISH, runner, JOBS[WISH.job], patience=0.4) is Outcome.NOT_NEEDED
    assert runner.runs == []


async def test_somebody_who_lives_is_left_to_it() -> None:
    runner = Runner(busy=1_000)
    async with asyncio.timeout(20):
        assert await fulfil(WISH, runner, JOBS[WISH.job], patience=0.1) is Outcome.BUSY
    assert runner.runs == []

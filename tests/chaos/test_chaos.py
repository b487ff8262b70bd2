"""What is known is answered, whatever is broken, and all is as before soon after."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy

import pytest

from tests.chaos.conftest import SharedStage
from tests.chaos.faults import (
    ON_DISK,
    ON_MONGODB,
    ON_SQLITE,
    WITH_A_CLOCK,
    WITH_WORKERS,
    Fault,
)
from tests.chaos.load import under_load
from tests.chaos.plan import Plan, plan_from_environment
from tests.chaos.run import Result, run
from tests.real.require import unavailable
from tests.waiting import until

LOG_TAIL = 6000


def each(faults: Sequence[Fault]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("fault", faults, ids=lambda fault: fault.name)


async def survive(fault: Fault, shared: SharedStage, results: list[Result]) -> None:
    stage = shared.open()
    try:
        result = await run(fault, stage, plan_from_environment())
        results.append(result)
        assert not result.complaints, "\n".join(result.complaints)
    except BaseException as error:
        error.add_note(f"The gateway's log ends:\n{stage.log[-LOG_TAIL:]}")
        shared.close()
        raise


@each(ON_SQLITE)
async def test_what_is_known_is_answered(
    fault: Fault, sqlite_stage: SharedStage, results: list[Result]
) -> None:
    await survive(fault, sqlite_stage, results)


@pytest.mark.real("small disk")
@each(ON_DISK)
async def test_a_full_disk_is_not_noticed(
    fault: Fault, sqlite_stage: SharedStage, results: list[Result]
) -> None:
    if sqlite_stage.open().disk is None:
        unavailable("small disk", "only root on Linux may mount one")
    await survive(fault, sqlite_stage, results)


@pytest.mark.real("mongodb")
@each(ON_MONGODB)
async def test_a_database_in_trouble_is_not_noticed(
    fault: Fault, mongodb_stage: SharedStage, results: list[Result]
) -> None:
    await survive(fault, mongodb_stage, results)


@pytest.mark.real("redis")
@each(WITH_WORKERS)
async def test_among_several_workers_too(
    fault: Fault, workers_stage: SharedStage, results: list[Result]
) -> None:
    await survive(fault, workers_stage, results)


@each(WITH_A_CLOCK)
async def test_a_clock_that_is_set_is_not_noticed(
    fault: Fault, clock_stage: SharedStage, results: list[Result]
) -> None:
    await survive(fault, clock_stage, results)


async def test_the_same_load_on_the_bare_upstream_notices(sqlite_stage: SharedStage) -> None:
    stage = sqlite_stage.open()
    bare = copy(stage)
    bare.url = bare.upstream
    async with under_load(bare, Plan()) as load:
        await until(lambda: load.known.requests > 30, what="answers")
        assert (load.known.failed, load.known.wrong, load.new.failed) == (0, 0, 0)
        await bare.misbehave(answer="html")
        await until(lambda: load.known.wrong, what="a wrong body is seen")
        assert load.known.failed == 0
        await bare.misbehave(answer="refuse")
        await until(lambda: load.known.failed, what="a refusal is seen")
        await until(lambda: load.new.failed, what="a refused new question is seen")
        await bare.behave()

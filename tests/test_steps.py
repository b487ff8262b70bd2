"""Long work that is done a step at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Generator

import pytest

from app.steps import in_steps


def work(trail: list[str], steps: int) -> Generator[None, None, str]:
    """Leaves a mark for each step."""
    for number in range(steps):
        trail.append(f"step {number}")
        yield
    return "done"


async def test_others_have_their_turn_after_each_step() -> None:
    trail: list[str] = []

    async def another() -> None:
        for number in range(3):
            trail.append(f"another {number}")
            await asyncio.sleep(0)

    done, _ = await asyncio.gather(in_steps(work(trail, 3)), another())
    assert done == "done"
    assert trail == ["step 0", "another 0", "step 1", "another 1", "step 2", "another 2"]


async def test_work_without_a_step_is_done_at_once() -> None:
    assert await in_steps(work([], 0)) == "done"


async def test_what_it_raises_is_raised() -> None:
    def breaks() -> Generator[None, None, None]:
        yield
        raise LookupError("on the way")

    with pytest.raises(LookupError, match="on the way"):
        await in_steps(breaks())


async def test_who_is_cancelled_between_two_steps_gives_up_the_rest() -> None:
    trail: list[str] = []
    task = asyncio.create_task(in_steps(work(trail, 1_000)))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(0)
    assert trail == ["step 0", "step 1"]

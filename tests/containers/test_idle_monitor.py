"""The ticker goes on, whatever its steps do."""

from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from app.containers.idle_monitor import tick
from tests.waiting import until


async def test_a_failing_step_stops_neither_the_others_nor_the_next_tick() -> None:
    rounds = 0
    fails = True

    async def bad() -> None:
        if fails:
            raise RuntimeError("broken")

    async def good() -> None:
        nonlocal rounds
        rounds += 1

    with capture_logs() as logs:
        task = asyncio.create_task(tick({"bad": bad, "good": good}, 0.001))
        await until(lambda: rounds >= 3)
        fails = False
        reached = rounds
        await until(lambda: rounds >= reached + 2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert [(entry["event"], entry["step"]) for entry in logs] == [
        ("monitor_step_fails", "bad"),
        ("monitor_step_works_again", "bad"),
    ]

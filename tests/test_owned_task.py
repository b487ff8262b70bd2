"""A part with a task of its own: begun by entering, over when it is left."""

from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from app.owned_task import OwnsTask
from tests.waiting import until


class Clerk(OwnsTask):
    """Works until it is stopped, or until ``error`` comes to it; needs a moment to put down its
    pen, until ``may_end``."""

    task_name = "clerk"

    def __init__(self) -> None:
        self.trail: list[str] = []
        self.error: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.may_end = asyncio.Event()
        self.may_end.set()

    async def _run(self) -> None:
        task = asyncio.current_task()
        self.trail.append(f"{task.get_name() if task else '?'} works")
        try:
            await self.error
        finally:
            await self.may_end.wait()
            self.trail.append("ended")


async def test_it_works_from_entering_to_leaving() -> None:
    async with Clerk() as clerk:
        await until(lambda: clerk.trail)
        assert clerk.trail == ["clerk works"]
    assert clerk.trail == ["clerk works", "ended"]


async def test_whoever_leaves_waits_until_it_has_ended() -> None:
    async with Clerk() as clerk:
        await until(lambda: clerk.trail)
        clerk.may_end.clear()
        leaving = asyncio.create_task(clerk.__aexit__())
        await asyncio.sleep(0.01)
        assert not leaving.done()
        clerk.may_end.set()
        await leaving
        assert clerk.trail[-1] == "ended"


async def test_an_error_that_ends_it_is_told_at_once_and_hinders_nobody_from_leaving() -> None:
    with capture_logs() as logs:
        async with Clerk() as clerk:
            clerk.error.set_exception(LookupError("no ink"))
            await until(lambda: logs)
    [told] = logs
    assert (told["event"], told["log_level"], told["task"]) == ("a task broke", "error", "clerk")
    assert repr(told["exc_info"]) == "LookupError('no ink')"


async def test_that_it_was_left_is_no_error() -> None:
    with capture_logs() as logs:
        async with Clerk() as clerk:
            await until(lambda: clerk.trail)
        await asyncio.sleep(0)
    assert logs == []


async def test_who_is_cancelled_while_leaving_is_told_so() -> None:
    async with Clerk() as clerk:
        await until(lambda: clerk.trail)
        clerk.may_end.clear()
        leaving = asyncio.create_task(clerk.__aexit__())
        await asyncio.sleep(0)
        leaving.cancel()
        clerk.may_end.set()
        with pytest.raises(asyncio.CancelledError):
            await leaving


async def test_it_may_be_left_twice() -> None:
    async with Clerk() as clerk:
        await until(lambda: clerk.trail)
        await clerk.__aexit__()
    assert clerk.trail == ["clerk works", "ended"]


class Deaf(OwnsTask):
    """Does not hear the first time that it is to end."""

    task_name = "deaf"
    heard = 0

    async def _run(self) -> None:
        while self.heard < 2:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.heard += 1


async def test_one_that_does_not_hear_is_told_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.owned_task._ONCE_MORE", 0.01)
    async with Deaf() as deaf:
        await asyncio.sleep(0)
    assert deaf.heard == 2

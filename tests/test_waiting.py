"""An event that is waited for, in virtual time: what it takes is exact."""

from __future__ import annotations

import asyncio

import pytest

from app.waiting import set_within
from tests.upstream.virtual import in_virtual_time


@pytest.mark.parametrize(
    ("set_after", "seconds", "was_set", "took"),
    [
        pytest.param(None, 3.0, False, 3.0, id="never"),
        pytest.param(1.0, 3.0, True, 1.0, id="in time"),
        pytest.param(5.0, 3.0, False, 3.0, id="too late"),
        pytest.param(3.0, 3.0, True, 3.0, id="as time runs out"),
        pytest.param(0.0, 0.0, True, 0.0, id="at once"),
    ],
)
def test_it_returns_when_it_is_set_and_in_time_if_it_is_not(
    set_after: float | None, seconds: float, was_set: bool, took: float
) -> None:
    async def play() -> tuple[bool, float]:
        loop, event = asyncio.get_running_loop(), asyncio.Event()
        if set_after is not None:
            loop.call_later(set_after, event.set)
        return await set_within(event, seconds), loop.time()

    assert in_virtual_time(play()) == (was_set, took)


def test_what_is_set_already_is_not_waited_for() -> None:
    async def play() -> tuple[bool, float]:
        event = asyncio.Event()
        event.set()
        return await set_within(event, 3.0), asyncio.get_running_loop().time()

    assert in_virtual_time(play()) == (True, 0.0)


def test_what_is_set_for_a_moment_only_was_set() -> None:
    async def play() -> bool:
        event = asyncio.Event()
        waiting = asyncio.create_task(set_within(event, 3.0))
        await asyncio.sleep(1.0)
        event.set()
        event.clear()
        return await waiting

    assert in_virtual_time(play())


@pytest.mark.parametrize("after", [1.0, 3.0], ids=["while it waits", "as time runs out"])
def test_who_is_cancelled_is_cancelled_and_leaves_nothing_behind(after: float) -> None:
    async def play() -> set[asyncio.Task[object]]:
        waiting = asyncio.create_task(set_within(asyncio.Event(), 3.0))
        await asyncio.sleep(0)
        asyncio.get_running_loop().call_later(after, waiting.cancel)
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await asyncio.sleep(0)
        return asyncio.all_tasks() - {asyncio.current_task()}

    assert in_virtual_time(play()) == set()


def test_when_time_ran_out_nothing_is_left_behind_either() -> None:
    async def play() -> tuple[set[asyncio.Task[object]], int]:
        await set_within(asyncio.Event(), 3.0)
        await asyncio.sleep(0)
        task = asyncio.current_task()
        assert task is not None
        return asyncio.all_tasks() - {task}, task.cancelling()

    assert in_virtual_time(play()) == (set(), 0)

"""Errands: so many at once and no more, waited for or ended."""

from __future__ import annotations

import asyncio

from app.coordination.errands import Errands


class Runners:
    """What is done by errands that wait until they may end."""

    def __init__(self) -> None:
        self.begun: list[int] = []
        self.done: list[int] = []
        self.may_end = asyncio.Event()

    async def run(self, number: int) -> None:
        self.begun.append(number)
        await self.may_end.wait()
        self.done.append(number)


async def test_so_many_at_once_and_those_too_many_are_not_begun() -> None:
    errands, runners = Errands("errand", 2), Runners()
    for number in range(4):
        errands.begin(runners.run(number))
    await asyncio.sleep(0)
    assert runners.begun == [0, 1]
    assert [task.get_name() for task in asyncio.all_tasks()].count("errand") == 2
    runners.may_end.set()
    await errands.finish()
    assert runners.done == [0, 1]


async def test_there_is_room_again_when_one_has_ended() -> None:
    errands, runners = Errands("errand", 1), Runners()
    runners.may_end.set()
    for number in range(3):
        errands.begin(runners.run(number))
        await errands.finish()
    assert runners.done == [0, 1, 2]


async def test_closing_ends_those_that_are_under_way() -> None:
    errands, runners = Errands("errand", 2), Runners()
    errands.begin(runners.run(0))
    await asyncio.sleep(0)
    await errands.aclose()
    runners.may_end.set()
    await asyncio.sleep(0)
    assert (runners.begun, runners.done) == ([0], [])
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "errand"]


async def test_one_that_fails_keeps_neither_the_others_nor_the_end_from_coming() -> None:
    errands, runners = Errands("errand", 2), Runners()

    async def fail() -> None:
        raise LookupError("lost the way")

    errands.begin(fail())
    errands.begin(runners.run(1))
    runners.may_end.set()
    await errands.finish()
    assert runners.done == [1]


async def test_without_any_there_is_nothing_to_wait_for() -> None:
    errands = Errands("errand", 1)
    await errands.finish()
    await errands.aclose()

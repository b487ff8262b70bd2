from __future__ import annotations

import asyncio
import random
from contextlib import AsyncExitStack

import pytest

from app.upstream.concurrency import Limit
from app.upstream.slots import Slots
from tests.waiting import until


class Hall:
    """Slots, and tasks that hold them until they are told to leave."""

    def __init__(self, most: int) -> None:
        self.slots = Slots(Limit.full(most))
        self.entered: list[str] = []
        self.sent_back: list[str] = []
        self._exits: dict[str, asyncio.Event] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def arrive(self, *names: str) -> None:
        """Each in a task of its own; a name that begins with "b" is of the background."""
        for name in names:
            self._exits[name] = asyncio.Event()
            self.tasks[name] = asyncio.create_task(self._visit(name))
            await asyncio.sleep(0)

    async def leave(self, *names: str) -> None:
        for name in names:
            self._exits[name].set()
            await self.tasks[name]
        await asyncio.sleep(0)

    async def _visit(self, name: str) -> None:
        async with self.slots.take(background=name.startswith("b")) as granted:
            if not granted:
                self.sent_back.append(name)
                return
            self.entered.append(name)
            await self._exits[name].wait()

    async def aclose(self) -> None:
        for task in self.tasks.values():
            task.cancel()
        await asyncio.gather(*self.tasks.values(), return_exceptions=True)
        assert (self.slots.running, self.slots.waiting) == (0, 0)


@pytest.fixture
async def hall(stack: AsyncExitStack) -> Hall:
    hall = Hall(4)
    stack.push_async_callback(hall.aclose)
    return hall


async def test_callers_get_all_the_slots_in_the_order_in_which_they_came(hall: Hall) -> None:
    await hall.arrive("f1", "f2", "f3", "f4", "f5", "f6")
    assert hall.entered == ["f1", "f2", "f3", "f4"]

    await hall.leave("f3", "f1")

    assert hall.entered[4:] == ["f5", "f6"]
    assert (hall.slots.running, hall.slots.waiting) == (4, 0)


async def test_refreshes_get_half_of_them(hall: Hall) -> None:
    await hall.arrive("b1", "b2", "b3", "f1", "f2", "f3")

    assert hall.entered == ["b1", "b2", "f1", "f2"]
    await hall.leave("b1")
    assert hall.entered[4:] == ["f3"]  # the caller, though the refresh came first
    await hall.leave("f1", "f2")
    assert hall.entered[5:] == ["b3"]


async def test_a_refresh_lets_a_caller_in_front_go_first_even_if_that_one_gives_up(
    hall: Hall,
) -> None:
    hall.slots.limit = Limit(4, 1.0)
    await hall.arrive("f1", "b1", "f2")
    hall.tasks["f2"].cancel()
    await asyncio.sleep(0)

    await hall.leave("f1")

    assert hall.entered == ["f1", "b1"]


async def test_a_caller_who_gives_up_does_not_leave_a_refresh_waiting_for_nobody(
    hall: Hall,
) -> None:
    hall.slots.limit = Limit(4, 1.0)
    await hall.arrive("f1", "f2", "b1")
    hall.slots.limit = Limit.full(4)
    hall.tasks["f2"].cancel()

    await until(lambda: hall.entered == ["f1", "b1"])


async def test_a_limit_that_shrinks_takes_nothing_away_and_one_that_grows_lets_in(
    hall: Hall,
) -> None:
    await hall.arrive("f1", "f2", "f3", "f4", "f5", "f6", "f7")
    hall.slots.limit = Limit(4, 2.0)
    await hall.leave("f1", "f2")
    assert hall.slots.running == 2
    assert len(hall.entered) == 4

    hall.slots.limit = Limit(4, 3.0)
    await hall.leave("f3")

    assert hall.entered[4:] == ["f5", "f6"]


async def test_nobody_goes_past_those_who_wait(hall: Hall) -> None:
    hall.slots.limit = Limit(4, 1.0)
    await hall.arrive("f1", "f2")
    hall.slots.limit = Limit.full(4)
    await hall.arrive("f3")
    assert hall.entered == ["f1"]

    await hall.leave("f1")

    assert hall.entered == ["f1", "f2", "f3"]


async def test_a_stir_sends_everybody_back_who_waits_and_nobody_else(hall: Hall) -> None:
    await hall.arrive("f1", "f2", "f3", "f4", "b1", "f5")
    hall.slots.stir()
    await until(lambda: len(hall.sent_back) == 2)

    assert hall.sent_back == ["f5", "b1"]
    assert (hall.slots.running, hall.slots.waiting) == (4, 0)


async def test_a_slot_that_is_granted_to_one_who_just_left_goes_to_the_next(hall: Hall) -> None:
    hall.slots.limit = Limit(4, 1.0)
    async with hall.slots.take(background=False):
        await hall.arrive("f1", "f2")
    hall.tasks["f1"].cancel()  # it has its slot by now, and has not noticed yet

    await until(lambda: hall.entered == ["f2"])
    assert hall.slots.running == 1


@pytest.mark.parametrize("seed", range(30))
async def test_whatever_comes_and_goes_no_slot_is_lost_and_none_is_given_twice(
    seed: int, stack: AsyncExitStack
) -> None:
    dice, hall = random.Random(seed), Hall(3)
    stack.push_async_callback(hall.aclose)
    for number in range(120):
        what = dice.choice(["arrive", "arrive", "leave", "cancel", "shrink", "grow", "stir"])
        inside = [name for name, task in hall.tasks.items() if not task.done()]
        if what == "arrive":
            await hall.arrive(f"{dice.choice('bf')}{number}")
        elif what == "leave" and inside:
            hall._exits[dice.choice(inside)].set()
        elif what == "cancel" and inside:
            hall.tasks[dice.choice(inside)].cancel()
        elif what == "shrink":
            hall.slots.limit = hall.slots.limit.after_refusal(number, number)
        elif what == "grow":
            hall.slots.limit = hall.slots.limit.after_answer()
        elif what == "stir":
            hall.slots.stir()
        for _ in range(dice.randrange(3)):
            await asyncio.sleep(0)
        assert 0 <= hall.slots.running <= 3

    for name in hall.tasks:
        hall._exits[name].set()
    await until(lambda: all(task.done() for task in hall.tasks.values()))
    assert (hall.slots.running, hall.slots.waiting) == (0, 0)

from __future__ import annotations

import asyncio
import math
import random
from contextlib import AsyncExitStack

import pytest

from app.upstream.concurrency import Limit
from app.upstream.slots import Slots
from tests.waiting import until


class Hall:
    """Slots, and tasks that hold them until they are told to leave.

    Of a task's name the first letter is its class, the second its operation.
    """

    def __init__(self, most: int) -> None:
        self.now = 0.0
        self.slots = Slots(Limit.full(most), lambda: self.now)
        self.entered: list[str] = []
        self.sent_back: list[str] = []
        self._exits: dict[str, asyncio.Event] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self.late_at: dict[str, float] = {}

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
        async with self.slots.take(
            name[1], background=name[0] == "b", late_at=self.late_at.get(name, math.inf)
        ) as granted:
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
    await until(lambda: hall.entered[4:] == ["f5"])
    await hall.leave("f3")

    assert hall.entered[4:] == ["f5", "f6"]


async def test_nobody_goes_past_those_who_wait(hall: Hall) -> None:
    hall.slots.limit = Limit(4, 1.0)
    await hall.arrive("f1", "f2")
    hall.slots.limit = Limit(4, 2.0)
    await hall.arrive("f3")
    assert hall.entered == ["f1", "f2"]

    await hall.leave("f1")

    assert hall.entered == ["f1", "f2", "f3"]


async def test_who_is_late_lets_pass_who_is_not(hall: Hall) -> None:
    hall.slots.limit = Limit(4, 1.0)
    hall.late_at = {"f2": 5.0, "f3": 6.0, "f4": 10.0, "f5": 11.0}
    await hall.arrive("f1", "f2", "f3", "f4", "f5")
    hall.now = 7.0

    for first in ("f1", "f4", "f5", "f3"):
        await hall.leave(first)

    assert hall.entered == ["f1", "f4", "f5", "f3", "f2"]


async def test_what_hangs_is_set_aside_and_others_go_beside_it(hall: Hall) -> None:
    await hall.arrive("f1", "f2", "b3", "b4", "f5", "b6", "f7")
    hall.slots.set_aside()
    await until(lambda: len(hall.entered) == 7)
    assert hall.slots.running == 7

    await hall.arrive("f8", "f9")
    assert hall.entered[7:] == ["f8"]  # eight are twice as many as may be
    await hall.leave("f1")

    assert hall.slots.running == 7
    await hall.leave("f5")
    assert hall.entered[8:] == ["f9"]


async def test_what_hangs_of_one_operation_is_set_aside_alone(hall: Hall) -> None:
    await hall.arrive("fa1", "fa2", "fb1", "fb2", "fc1", "fc2", "fc3")
    hall.slots.set_aside("a")
    await until(lambda: hall.entered[4:] == ["fc1", "fc2"])

    await hall.leave("fa1", "fa2")

    assert hall.entered[6:] == []
    await hall.leave("fb1")
    assert hall.entered[6:] == ["fc3"]


async def test_a_caller_does_not_wait_for_refreshes_that_hold_more_than_their_part(
    hall: Hall,
) -> None:
    await hall.arrive("b1", "b2")
    hall.slots.limit = Limit(4, 1.0)

    await hall.arrive("f1", "f2")

    assert hall.entered == ["b1", "b2", "f1"]


async def test_a_stir_sends_everybody_back_who_waits_and_nobody_else(hall: Hall) -> None:
    await hall.arrive("f1", "f2", "f3", "f4", "b1", "f5")
    hall.slots.stir()
    await until(lambda: len(hall.sent_back) == 2)

    assert hall.sent_back == ["f5", "b1"]
    assert (hall.slots.running, hall.slots.waiting) == (4, 0)


async def test_a_slot_that_is_granted_to_one_who_just_left_goes_to_the_next(hall: Hall) -> None:
    hall.slots.limit = Limit(4, 1.0)
    async with hall.slots.take("0", background=False, late_at=math.inf):
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
        hall.now = float(number)
        what = dice.choice(
            ["arrive", "arrive", "leave", "cancel", "shrink", "grow", "stir", "hang", "share"]
        )
        inside = [name for name, task in hall.tasks.items() if not task.done()]
        if what == "arrive":
            name = f"{dice.choice('bf')}{number}"
            hall.late_at[name] = number + 5.0
            await hall.arrive(name)
        elif what == "leave" and inside:
            hall._exits[dice.choice(inside)].set()
        elif what == "cancel" and inside:
            hall.tasks[dice.choice(inside)].cancel()
        elif what == "shrink":
            hall.slots.limit = hall.slots.limit.after_refusal(number, number)
        elif what == "grow":
            hall.slots.limit = hall.slots.limit.after_answer(number)
        elif what == "stir":
            hall.slots.stir()
        elif what == "hang":
            hall.slots.set_aside(dice.choice([None, *"0123456789"]))
        elif what == "share":
            hall.slots.limit = hall.slots.limit.within(dice.randint(1, 3))
        for _ in range(dice.randrange(3)):
            await asyncio.sleep(0)
        assert 0 <= hall.slots.running <= 6

    for name in hall.tasks:
        hall._exits[name].set()
    await until(lambda: all(task.done() for task in hall.tasks.values()))
    assert (hall.slots.running, hall.slots.waiting) == (0, 0)

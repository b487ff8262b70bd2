"""Who may start, and who is next."""

from __future__ import annotations

import asyncio

import pytest

from app.containers.start_slots import StartSlots


async def test_so_many_at_once_and_the_important_first() -> None:
    slots = StartSlots(2)
    running: list[str] = []
    order: list[str] = []
    most = 0
    gate = asyncio.Event()

    async def start(name: str, rank: int) -> None:
        nonlocal most
        async with slots.take(rank):
            running.append(name)
            order.append(name)
            most = max(most, len(running))
            await gate.wait()
            running.remove(name)

    names = [("a", 2), ("b", 2), ("low", 3), ("normal", 2), ("critical", 0), ("normal2", 2)]
    tasks = []
    for name, rank in names:
        tasks.append(asyncio.create_task(start(name, rank)))
        await asyncio.sleep(0)
    gate.set()
    await asyncio.gather(*tasks)
    assert most == 2
    assert order == ["a", "b", "critical", "normal", "normal2", "low"]


async def test_who_gives_up_leaves_the_slot_to_others() -> None:
    slots = StartSlots(1)
    entered = asyncio.Event()

    async def start() -> None:
        async with slots.take(0):
            entered.set()

    async with slots.take(0):
        gives_up = asyncio.create_task(start())
        stays = asyncio.create_task(start())
        await asyncio.sleep(0)
        gives_up.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gives_up
    await asyncio.wait_for(stays, 5)
    assert entered.is_set()


async def test_a_slot_handed_to_one_who_is_cancelled_just_then_is_not_lost() -> None:
    slots = StartSlots(1)

    async def start() -> None:
        async with slots.take(0):
            pytest.fail("it was cancelled before its turn")

    async with slots.take(0):
        unlucky = asyncio.create_task(start())
        await asyncio.sleep(0)
    unlucky.cancel()
    with pytest.raises(asyncio.CancelledError):
        await unlucky
    async with asyncio.timeout(5), slots.take(0):
        pass

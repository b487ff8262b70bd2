"""One publisher, several readers."""

from __future__ import annotations

import asyncio

from app.containers.broadcast import Broadcast


async def test_everybody_gets_everything_from_entering_on() -> None:
    news: Broadcast[int] = Broadcast()
    news.publish(0)
    async with news.subscribe() as one, news.subscribe() as two:
        for number in (1, 2, 3):
            news.publish(number)
        news.close()
        assert [number async for number in one] == [1, 2, 3]
        assert [number async for number in two] == [1, 2, 3]


async def test_a_reader_waits_for_what_comes() -> None:
    news: Broadcast[int] = Broadcast()
    async with news.subscribe() as reader:
        waiting = asyncio.ensure_future(anext(reader))
        await asyncio.sleep(0)
        assert not waiting.done()
        news.publish(7)
        assert await waiting == 7


async def test_a_slow_reader_is_dropped_and_the_others_are_not() -> None:
    news: Broadcast[int] = Broadcast(size=2)
    async with news.subscribe() as slow, news.subscribe() as quick:
        got = []
        for number in range(5):
            news.publish(number)
            got.append(await anext(quick))
        assert got == [0, 1, 2, 3, 4]
        assert [number async for number in slow] == [0, 1]


async def test_after_closing_there_is_nothing_to_wait_for() -> None:
    news: Broadcast[int] = Broadcast()
    news.close()
    async with news.subscribe() as reader:
        assert [number async for number in reader] == []

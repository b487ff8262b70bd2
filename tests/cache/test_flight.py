"""One piece of work for many askers."""

from __future__ import annotations

import asyncio

import pytest

from app.cache.flight import FlightTable


class Work:
    """Counts how often it is begun and ends when told to."""

    def __init__(self) -> None:
        self.begun = 0
        self.finish = asyncio.Event()
        self.error: Exception | None = None

    async def __call__(self) -> int:
        self.begun += 1
        await self.finish.wait()
        if self.error:
            raise self.error
        return self.begun


async def test_many_askers_share_one_flight() -> None:
    flights: FlightTable[int] = FlightTable()
    work = Work()
    askers = [asyncio.create_task(flights.join("a", work)) for _ in range(100)]
    await asyncio.sleep(0)
    assert "a" in flights
    work.finish.set()
    assert await asyncio.gather(*askers) == [1] * 100
    assert len(flights) == 0


async def test_an_asker_that_leaves_cancels_nothing() -> None:
    flights: FlightTable[int] = FlightTable()
    work = Work()
    leaver = asyncio.create_task(flights.join("a", work))
    stayer = asyncio.create_task(flights.join("a", work))
    await asyncio.sleep(0)
    leaver.cancel()
    await asyncio.gather(leaver, return_exceptions=True)
    work.finish.set()
    assert await stayer == 1


async def test_the_work_ends_even_when_everybody_has_left() -> None:
    flights: FlightTable[int] = FlightTable()
    work = Work()
    flight = flights.start("a", work)
    asker = asyncio.create_task(flights.join("a", work))
    await asyncio.sleep(0)
    asker.cancel()
    await asyncio.gather(asker, return_exceptions=True)
    work.finish.set()
    assert await flight == 1


async def test_a_failure_is_shared_and_forgotten() -> None:
    flights: FlightTable[int] = FlightTable()
    work = Work()
    work.error = ValueError("broken")
    askers = [asyncio.create_task(flights.join("a", work)) for _ in range(3)]
    await asyncio.sleep(0)
    work.finish.set()
    results = await asyncio.gather(*askers, return_exceptions=True)
    assert [str(result) for result in results] == ["broken"] * 3
    work.error = None
    assert await flights.join("a", work) == 2


async def test_keys_fly_apart() -> None:
    flights: FlightTable[int] = FlightTable()
    work = Work()
    work.finish.set()
    await asyncio.gather(flights.join("a", work), flights.join("b", work))
    assert work.begun == 2


async def test_closing_ends_what_is_under_way() -> None:
    flights: FlightTable[int] = FlightTable()
    flight = flights.start("a", Work())
    await flights.aclose()
    assert flight.cancelled()
    with pytest.raises(asyncio.CancelledError):
        await flight

"""One piece of work for any number of simultaneous askers, which no asker can cancel."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class FlightTable(Generic[T]):
    """Work under way, by key. The work runs in a task of its own; askers only wait for it.

    An asker that goes away changes nothing for the others or for the work. A failure is given
    to everybody who waits, and is forgotten at once: the next asker starts anew.
    """

    def __init__(self) -> None:
        self._flights: dict[str, asyncio.Task[T]] = {}

    def __len__(self) -> int:
        return len(self._flights)

    def __contains__(self, key: str) -> bool:
        return key in self._flights

    def start(self, key: str, work: Callable[[], Coroutine[Any, Any, T]]) -> asyncio.Task[T]:
        """The flight for ``key``: the one under way, or a new one doing ``work``."""
        flight = self._flights.get(key)
        if flight is None:
            flight = asyncio.create_task(work(), name=f"flight {key}")
            self._flights[key] = flight
            flight.add_done_callback(lambda done: self._land(key, done))
        return flight

    async def join(self, key: str, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Wait for the flight of ``key``, starting it if there is none."""
        return await asyncio.shield(self.start(key, work))

    async def aclose(self) -> None:
        """Cancel what is under way and wait for its end."""
        flights = list(self._flights.values())
        for flight in flights:
            flight.cancel()
        await asyncio.gather(*flights, return_exceptions=True)

    def _land(self, key: str, flight: asyncio.Task[T]) -> None:
        del self._flights[key]
        if not flight.cancelled():
            # Marks the exception as seen: when every asker has left, nobody else would.
            flight.exception()

"""Those who use the gateways: requests with a budget, callers who hang up, jobs that hold on."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from app.errors import ContainerError, DrawbridgeError
from tests.containers.simulation.clock import VirtualClock
from tests.containers.simulation.record import Journal

if TYPE_CHECKING:
    from tests.containers.simulation.world import Gateway


IMPATIENCE = 0.7


class Users:
    """Each does what ``app.middleware.container_gate`` does: a lease, then the wait, then use."""

    def __init__(self, clock: VirtualClock, journal: Journal) -> None:
        self._clock = clock
        self._journal = journal
        self._of: dict[str, dict[asyncio.Task[None], None]] = {}
        # In order: what a set would do differs from run to run.
        self._number = 0
        self._served: set[asyncio.Task[None] | None] = set()
        self._news = asyncio.Event()

    def request(
        self, gateway: Gateway, name: str, within: float, hold: float
    ) -> asyncio.Task[None]:
        """Somebody wants an answer ``within`` seconds, and takes ``hold`` to read it."""
        return self._begin(gateway, self._request(gateway, name, within, hold))

    def siege(self, gateway: Gateway, name: str, seconds: float) -> None:
        """Somebody who is refused asks again, and again, for so long."""
        if seconds > 0:
            self.request(gateway, name, 10.0, hold=0.0)
            self._clock.call_later(IMPATIENCE, self.siege, gateway, name, seconds - IMPATIENCE)

    def job(self, gateway: Gateway, name: str, hold: float) -> None:
        """Somebody holds a lease without asking for anything."""
        self._begin(gateway, self._job(gateway, name, hold))

    def sleep(self, gateway: Gateway, name: str) -> None:
        """An operator wants it down."""
        self._begin(gateway, self._sleep(gateway, name))

    async def until_served(self, callers: list[asyncio.Task[None]]) -> None:
        """Wait until each of them got what it wanted, or did not."""
        while any(not caller.done() and caller not in self._served for caller in callers):
            await self._news.wait()
            self._news.clear()

    def cut(self, gateway: str) -> None:
        """The gateway died, and all its connections with it."""
        for task in tuple(self._of.pop(gateway, ())):
            task.cancel()

    def _begin(self, gateway: Gateway, work: object) -> asyncio.Task[None]:
        task: asyncio.Task[None] = self._clock.create_task(work)
        tasks = self._of.setdefault(gateway.name, {})
        tasks[task] = None
        task.add_done_callback(lambda _: tasks.pop(task, None))
        task.add_done_callback(lambda _: self._news.set())
        return task

    def _who(self, gateway: Gateway) -> str:
        self._number += 1
        return f"{gateway.name}/{self._number}"

    async def _request(self, gateway: Gateway, name: str, within: float, hold: float) -> None:
        write, who, fleet = self._journal.write, self._who(gateway), gateway.fleet
        if fleet is None:
            return
        write("asked", name, who, within)
        try:
            with fleet.lease(name):
                write("leased", name, who)
                try:
                    await fleet.ready(name, within)
                    write("through", name, who)
                    self._served.add(asyncio.current_task())
                    self._news.set()
                    await asyncio.sleep(hold)
                finally:
                    write("released", name, who)
        except ContainerError as error:
            write("ended", name, who, (type(error).__name__, error.retry_after, str(error)))
        except asyncio.CancelledError:
            write("hung up", name, who)
            raise
        else:
            write("ended", name, who, ("served", None, ""))

    async def _job(self, gateway: Gateway, name: str, hold: float) -> None:
        write, who, fleet = self._journal.write, self._who(gateway), gateway.fleet
        if fleet is None:
            return
        try:
            lease = fleet.lease(name)
        except DrawbridgeError:
            return
        with lease:
            write("leased", name, who)
            try:
                await asyncio.sleep(hold)
            finally:
                write("released", name, who)

    async def _sleep(self, gateway: Gateway, name: str) -> None:
        fleet, who = gateway.fleet, self._who(gateway)
        if fleet is None:
            return
        self._journal.write("wants sleep", name, who)
        try:
            await fleet.sleep(name)
        except DrawbridgeError as error:
            self._journal.write("no sleep", name, who, str(error))
        else:
            self._journal.write("sleeps", name, who)

"""Keeps the books on the containers while the gateway runs, and on disk beyond that."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, Self

from app.containers.fleet import Fleet
from app.containers.idle_monitor import tick
from app.containers.ledger import (
    Account,
    bounded,
    kept_up,
    moved,
    resumed,
    seen,
    settled,
    slept,
    to_weigh,
    weighed,
    woke,
)
from app.containers.ledger_file import Ledger, LedgerFile
from app.containers.lifecycle import State
from app.containers.report import report_of
from app.containers.view import ContainerView, FleetEvent, FleetObserver
from app.errors import ContainerUnknown
from app.owned_task import OwnsTask

SAVE_SECONDS = 30.0
"""Between two writes of the file; what a crash loses at most, and is then told as unknown."""
Weigh = Callable[[str], Awaitable[int | None]]
"""The memory that the container of this id uses, in bytes; ``None`` if it cannot be had now.
Raises nothing."""


class Books(OwnsTask):
    """Enter it before the fleet, so that nothing is missed, and have it ``follow`` the fleet.

    It is one of the fleet's observers. Every ``every`` seconds it looks what keeps up those that
    are awake, and weighs one of them. If another process keeps the books of this folder it only
    waits for its turn: both hear of the same containers. ``clock`` is monotonic, ``wall`` counts
    from 1970 and is for dates alone.
    """

    task_name = "books"

    def __init__(
        self,
        file: LedgerFile,
        *,
        every: float,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._file = file
        self._every = every
        self._clock = clock
        self._wall = wall
        self._accounts: dict[str, Account] = {}
        self._opened = 0.0
        self._keeping = False
        self._saved_at = 0.0
        self._fleet: Fleet | None = None
        self._weigh: Weigh | None = None

    async def __aenter__(self) -> Self:
        await self._take_over()
        return await super().__aenter__()

    async def __aexit__(self, *left: object) -> None:
        await super().__aexit__(*left)
        if self._keeping:
            await self._save()
            self._keeping = False
        await asyncio.to_thread(self._file.release)

    def follow(self, fleet: Fleet, weigh: Weigh | None = None) -> None:
        """Hear of everything that happens in ``fleet``; before it is entered, or some is missed."""
        self._fleet, self._weigh = fleet, weigh
        fleet.watch(self._moved)

    def wake_ended(self, name: str, outcome: str, seconds: float) -> None:
        """A wake ended (the fleet's observer)."""
        if self._keeping:
            self._accounts[name] = woke(self._account(name), outcome, seconds)

    def slept(self, name: str, reason: str) -> None:
        """A container went down (the fleet's observer)."""
        if self._keeping:
            self._accounts[name] = slept(self._account(name), reason)

    async def report(self) -> dict[str, Any]:
        """The books until now; those of the process that keeps them as of its last write."""
        if self._keeping:
            return report_of(self._ledger() if self._accounts else None)
        return report_of(await asyncio.to_thread(self._file.read))

    async def _run(self) -> None:
        steps = {"the books": self._look, "weighing": self._weigh_one, "saving": self._save_in_time}
        await tick(steps, self._every)

    def _moved(self, event: FleetEvent) -> None:
        if self._keeping:
            account = self._account(event.name)
            now = self._clock()
            self._accounts[event.name] = moved(account, event.was, event.state, event.cause, now)

    def _account(self, name: str) -> Account:
        account = self._accounts.get(name)
        if account is None:
            wall = self._wall()
            account = Account(opened=wall, until=wall, mark=self._clock())
            self._accounts = bounded({**self._accounts, name: account})
        return account

    async def _look(self) -> None:
        """What keeps them up? Nobody is asked about those that are not awake."""
        now = self._clock()
        for name, account in self._accounts.items():
            if account.state not in (State.AWAKE, State.MISSING):
                continue
            view = self._view(name)
            if view is None:
                # It was removed, and the fleet has forgotten it.
                self._accounts[name] = replace(settled(account, now), state=None)
            elif account.state is State.AWAKE:
                keeper = None if view.keeper is None else view.keeper.value
                frees = view.sleep == "stop"
                self._accounts[name] = kept_up(account, keeper, now, frees=frees)

    async def _weigh_one(self) -> None:
        name = to_weigh(self._accounts)
        view = None if name is None else self._view(name)
        if self._weigh is None or view is None:
            return
        memory = await self._weigh(view.container_id)
        account, now = self._accounts.get(view.name), self._clock()
        if account is not None:
            tried = replace(account, weighed_at=now)
            self._accounts[view.name] = tried if memory is None else weighed(tried, memory, now)

    def _view(self, name: str) -> ContainerView | None:
        if self._fleet is None:
            return None
        with contextlib.suppress(ContainerUnknown):
            return self._fleet.view(name)
        return None

    async def _save_in_time(self) -> None:
        if self._clock() - self._saved_at < SAVE_SECONDS:
            return
        if self._keeping:
            await self._save()
        else:
            await self._take_over()

    async def _save(self) -> None:
        self._saved_at = self._clock()
        # It may have been kept in memory for want of a disk, and somebody else found one.
        self._keeping = await asyncio.to_thread(self._file.claim)
        if self._keeping and self._accounts:
            await asyncio.to_thread(self._file.write, self._ledger())

    async def _take_over(self) -> None:
        """Keep the books from now on, if nobody else does."""
        self._saved_at = self._clock()
        if not await asyncio.to_thread(self._file.claim):
            self._accounts = {}
            return
        ledger = await asyncio.to_thread(self._file.read)
        wall, now = self._wall(), self._clock()
        self._opened = wall if ledger is None else ledger.opened
        if ledger is not None:
            told = ledger.accounts.items()
            self._accounts = {name: resumed(one, wall, now) for name, one in told}
        self._keeping = True
        for view in () if self._fleet is None else self._fleet.views():
            account = seen(self._account(view.name), now)
            self._accounts[view.name] = replace(account, state=view.state)

    def _ledger(self) -> Ledger:
        """All accounts, told until now."""
        wall, now = self._wall(), self._clock()
        self._accounts = {
            name: one if one.state is None else replace(settled(one, now), until=wall)
            for name, one in self._accounts.items()
        }
        return Ledger(self._opened, wall, self._accounts)


class Observers:
    """Several observers of a fleet as one."""

    def __init__(self, *observers: FleetObserver) -> None:
        self._observers = observers

    def wake_ended(self, name: str, outcome: str, seconds: float) -> None:
        """A wake ended."""
        for observer in self._observers:
            observer.wake_ended(name, outcome, seconds)

    def slept(self, name: str, reason: str) -> None:
        """It went down."""
        for observer in self._observers:
            observer.slept(name, reason)

"""The slots that calls take, and the two lines in which they wait for one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from app.upstream.concurrency import Crowd, Limit, may_go
from app.upstream.line import Line


@dataclass(slots=True, eq=False)
class _Slot:
    """One that is taken."""

    operation: str
    background: bool
    aside: bool = False


@dataclass(slots=True, eq=False)
class _Turn:
    """A place in a line, for the slot that is taken when it is granted."""

    slot: _Slot
    granted: asyncio.Future[bool]


class Slots:
    """As many as ``limit`` allows now: it may be replaced at any time and counts from then on.

    Belongs to one event loop; ``clock`` is monotonic. How long the lines may get is for those who
    queue to bound.
    """

    def __init__(self, limit: Limit, clock: Callable[[], float]) -> None:
        self._limit = limit
        self._clock = clock
        self._taken: set[_Slot] = set()
        # Both by class: 0 (False) is the foreground, 1 (True) the background.
        self._counted = [0, 0]
        self._lines: tuple[Line[_Turn], Line[_Turn]] = (Line(), Line())

    @property
    def limit(self) -> Limit:
        """How many may be taken. A higher one lets in at once, a lower one takes nothing away."""
        return self._limit

    @limit.setter
    def limit(self, limit: Limit) -> None:
        self._limit = limit
        self._let_in()

    @property
    def running(self) -> int:
        """How many are taken, those set aside included."""
        return len(self._taken)

    @property
    def waiting(self) -> int:
        """How many calls stand in both lines."""
        return sum(map(len, self._lines))

    @asynccontextmanager
    async def take(
        self, operation: str, *, background: bool, late_at: float
    ) -> AsyncIterator[bool]:
        """Wait for a slot and hold it inside. ``False``, and none held, after a ``stir``.

        Who waits still at ``late_at`` lets those pass who are not that late.
        """
        slot = await self._turn(_Slot(operation, background), late_at)
        try:
            yield slot is not None
        finally:
            if slot is not None:
                self._give_back(slot)

    def set_aside(self, operation: str | None = None) -> None:
        """What is under way now, of one ``operation`` or all, counts against the limit no more.

        It may hang until its time is over, and others are not to wait for that.
        """
        for slot in self._taken:
            if not slot.aside and operation in {None, slot.operation}:
                slot.aside = True
                self._counted[slot.background] -= 1
        self._let_in()

    def stir(self) -> None:
        """Send everybody who waits back to look whether there is still something to wait for."""
        for line in self._lines:
            while line:
                turn = line.next(self._clock())
                if not turn.granted.done():
                    turn.granted.set_result(False)

    async def _turn(self, slot: _Slot, late_at: float) -> _Slot | None:
        line = self._lines[slot.background]
        if not line and self._has_room(slot.background):
            self._hand_out(slot)
            return slot
        turn = _Turn(slot, asyncio.get_running_loop().create_future())
        line.join(turn, late_at)
        try:
            return slot if await turn.granted else None
        except asyncio.CancelledError:
            if not turn.granted.cancelled() and turn.granted.result():
                self._give_back(slot)  # it was granted in the moment of the cancellation
            elif line.leave(turn):
                self._let_in()  # a refresh may have waited for just this caller
            raise

    def _hand_out(self, slot: _Slot) -> None:
        self._taken.add(slot)
        self._counted[slot.background] += 1

    def _give_back(self, slot: _Slot) -> None:
        self._taken.remove(slot)
        if not slot.aside:
            self._counted[slot.background] -= 1
        self._let_in()

    def _let_in(self) -> None:
        for background in (False, True):
            line = self._lines[background]
            while line and self._has_room(background):
                turn = line.next(self._clock())
                if not turn.granted.done():
                    # Counted here and not when it wakes: nobody may take the slot between.
                    self._hand_out(turn.slot)
                    turn.granted.set_result(True)

    def _has_room(self, background: bool) -> bool:
        callers, refreshes = self._counted
        aside = len(self._taken) - callers - refreshes
        crowd = Crowd(callers, refreshes, aside, in_front=len(self._lines[False]))
        return may_go(self._limit, crowd, background=background)

"""The slots that calls take, and the two lines in which they wait for one."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.upstream.concurrency import Limit, may_go


class Slots:
    """As many as ``limit`` allows now: it may be replaced at any time and counts from then on.

    Belongs to one event loop. How long the lines may get is for those who queue to bound.
    """

    def __init__(self, limit: Limit) -> None:
        self.limit = limit
        # Both by class: 0 (False) is the foreground, 1 (True) the background.
        self._running = [0, 0]
        self._lines: tuple[deque[asyncio.Future[bool]], deque[asyncio.Future[bool]]]
        self._lines = (deque(), deque())

    @property
    def running(self) -> int:
        """How many are taken."""
        return sum(self._running)

    @property
    def waiting(self) -> int:
        """How many calls stand in both lines."""
        return sum(map(len, self._lines))

    @asynccontextmanager
    async def take(self, *, background: bool) -> AsyncIterator[bool]:
        """Wait for a slot and hold it inside. ``False``, and none held, after a ``stir``."""
        granted = await self._turn(background)
        try:
            yield granted
        finally:
            if granted:
                self._give_back(background)

    def stir(self) -> None:
        """Send everybody who waits back to look whether there is still something to wait for."""
        for line in self._lines:
            while line:
                turn = line.popleft()
                if not turn.done():
                    turn.set_result(False)

    async def _turn(self, background: bool) -> bool:
        line = self._lines[background]
        if not line and self._has_room(background):
            self._running[background] += 1
            return True
        turn: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        line.append(turn)
        try:
            return await turn
        except asyncio.CancelledError:
            if not turn.cancelled() and turn.result():
                self._give_back(background)  # it was granted in the moment of the cancellation
            elif turn in line:
                line.remove(turn)
                self._let_in()  # a refresh may have waited for just this caller
            raise

    def _give_back(self, background: bool) -> None:
        self._running[background] -= 1
        self._let_in()

    def _let_in(self) -> None:
        for background in (False, True):
            line = self._lines[background]
            while line and self._has_room(background):
                turn = line.popleft()
                if not turn.done():
                    # Counted here and not when it wakes: nobody may take the slot between.
                    self._running[background] += 1
                    turn.set_result(True)

    def _has_room(self, background: bool) -> bool:
        return may_go(
            self.limit.calls,
            background=background,
            running=self.running,
            running_background=self._running[True],
            in_front=len(self._lines[False]),
        )

"""An event loop in virtual time that does nothing but run callbacks in order.

Like ``tests/upstream/virtual.py``, without what a loop owes to sockets, signals and threads: that
is half of the cost where a hundred thousand short plays are run.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from heapq import heappop, heappush
from typing import Any, TypeVar, cast

T = TypeVar("T")
Call = Callable[..., object]


class Turn:
    """A callback that waits for its turn; stands in for ``asyncio.TimerHandle``."""

    __slots__ = ("_when", "arguments", "call")

    def __init__(self, when: float, call: Call, arguments: tuple[Any, ...]) -> None:
        self._when = when
        self.call: Call | None = call
        self.arguments = arguments

    def cancel(self) -> None:
        """It is not called."""
        self.call = None

    def cancelled(self) -> bool:
        """Whether it is not called, or was called already."""
        return self.call is None

    def when(self) -> float:
        """In virtual seconds."""
        return self._when


class Everlasting(Exception):
    """Raised when nobody has anything left to do and the play is not over."""


class VirtualClock:
    """Time passes when all wait, and then at once. ``wall_step`` moves the wall clock only.

    Callbacks run in no context of their own: nothing in here has context variables.
    """

    def __init__(self) -> None:
        self.wall_step = 0.0
        # Tasks and futures ask only for what is here.
        self._loop = cast("asyncio.AbstractEventLoop", self)
        self.broken: list[str] = []
        """Exceptions that nobody caught."""
        self._now = 0.0
        self._ready: deque[Turn] = deque()
        self._later: list[tuple[float, int, Turn]] = []
        self._order = 0
        self._tasks: list[asyncio.Task[Any]] = []

    def time(self) -> float:
        """Virtual seconds."""
        return self._now

    def wall(self) -> float:
        """The wall clock of the host: everybody's but ours."""
        return 1_700_000_000.0 + self._now + self.wall_step

    def call_soon(self, callback: Call, *args: Any, context: Any = None) -> Any:
        """After everything that is ready now."""
        turn = Turn(self._now, callback, args)
        self._ready.append(turn)
        return turn

    def call_later(self, delay: float, callback: Call, *args: Any, context: Any = None) -> Any:
        """``delay`` seconds from now."""
        when = self._now + delay
        turn = Turn(when, callback, args)
        self._order += 1
        heappush(self._later, (when, self._order, turn))
        return turn

    def call_at(self, when: float, callback: Call, *args: Any, context: Any = None) -> Any:
        """At ``when``; equals in the order of their calls."""
        turn = Turn(when, callback, args)
        self._order += 1
        heappush(self._later, (when, self._order, turn))
        return turn

    def create_future(self) -> asyncio.Future[Any]:
        """A future of this loop."""
        return asyncio.Future(loop=self._loop)

    def create_task(
        self, coro: Any, *, name: object = None, context: Any = None
    ) -> asyncio.Task[Any]:
        """A task of this loop."""
        task = asyncio.Task(coro, loop=self._loop, name=None if name is None else str(name))
        self._tasks.append(task)
        return task

    def get_debug(self) -> bool:
        """Never: debugging costs."""
        return False

    def is_running(self) -> bool:
        """As far as tasks care."""
        return True

    def is_closed(self) -> bool:
        """As far as tasks care."""
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Somebody's exception was caught by nobody."""
        self.broken.append(f"{context.get('message')}: {context.get('exception')!r}")

    def play(self, play: Coroutine[Any, Any, T]) -> T:
        """What ``play`` returns; whatever it left behind is cancelled. For one play only."""
        asyncio.events._set_running_loop(self._loop)
        try:
            task: asyncio.Task[T] = self.create_task(play)
            self._run_until(task)
            left = [one for one in self._tasks if not one.done()]
            for one in left:
                one.cancel()
            for one in left:
                self._run_until(one)
            return task.result()
        finally:
            asyncio.events._set_running_loop(None)

    def _run_until(self, task: asyncio.Task[Any]) -> None:
        ready, later = self._ready, self._later
        while not task.done():
            while ready:
                turn = ready.popleft()
                call, turn.call = turn.call, None
                if call is None:
                    continue
                call(*turn.arguments)
            if task.done():
                return
            if not later:
                raise Everlasting(f"at {self._now:.3f}: everybody waits for what never comes")
            self._now, _, turn = heappop(later)
            ready.append(turn)

"""One container of the fleet as it is now, and the leases on it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType

from app.containers.lifecycle import Life, State
from app.containers.peers import Right
from app.containers.spec import Spec

BY_HAND, DIED, IDLE = "by hand", "died", "idle"
ANOTHER_GATEWAY = "another gateway"


@dataclass(slots=True, eq=False)
class Member:
    """Belongs to the ``Conductor``, which alone changes ``life``. Times are monotonic seconds.

    ``poke`` is set when something is heard about the container: a worker looks at once.
    ``sleeps`` counts how often it went down; ``sleep_reason`` is why it is going down now,
    for metrics, and ``sleep_cause`` the same for people, with who or what it was,
    ``wake_cause`` who or what it was woken for last.
    """

    spec: Spec
    container_id: str
    image: str
    life: Life
    leases: int = 0
    used_at: float = float("-inf")
    wake_began: float | None = None
    awake_since: float | None = None
    awake_before: float = 0.0
    sleeps: int = 0
    sleep_reason: str = BY_HAND
    sleep_cause: str = BY_HAND
    wake_cause: str = BY_HAND
    poke: asyncio.Event = field(default_factory=asyncio.Event)
    worker: asyncio.Task[None] | None = None
    right: Right | None = None
    """To stop it, where several gateways look after it."""
    ask_again_at: float = float("-inf")
    """When the other gateways may be asked again whether it may be stopped."""
    ready_at: float = float("-inf")
    run: str | None = None
    run_since: float = float("-inf")
    """The last run that was seen to be ready, and since when: also while it is paused."""
    dying: bool = False
    """Whether the engine told of a signal that ends its present run."""

    @property
    def name(self) -> str:
        """Its name here."""
        return self.spec.name

    @property
    def target(self) -> str | None:
        """The id to act on; ``None`` while the engine knows no such container."""
        return None if self.life.state is State.MISSING else self.container_id

    def going_down(self, reason: str, cause: str | None = None) -> None:
        """Should it go down now, then for this ``reason``; ``cause`` says more, for people."""
        self.sleep_reason, self.sleep_cause = reason, cause or reason

    def idle_seconds(self, now: float) -> float:
        """Since the last use, or since it became ready; 0 while it is leased."""
        return 0.0 if self.leases else max(0.0, now - max(self.used_at, self.ready_at))

    def awake_seconds(self, now: float) -> float:
        """In which it was ready, in total."""
        present = 0.0 if self.awake_since is None else now - self.awake_since
        return self.awake_before + present


class Lease:
    """Use of one container, from its creation until ``release`` or the end of the ``with``.

    It counts all the time, unless it is told to ``stream``: then it counts while bytes move, and
    for a while after the last; an open connection alone keeps nothing up. When they move again it
    counts again. Should the container have been stopped meanwhile, the connection is dead anyway.
    """

    def __init__(
        self, member: Member, touched: Callable[[Member], None], clock: Callable[[], float]
    ) -> None:
        self._member = member
        self._touched = touched
        self._clock = clock
        self._held = self._counts = True
        self._silent_after: float | None = None
        self._moved_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        member.leases += 1
        touched(member)

    def stream(self, silent_after: float) -> None:
        """From now on, count only for so many seconds after the last ``touch``."""
        if self._held and self._silent_after is None:
            self._silent_after, self._moved_at = silent_after, self._clock()
            self._look_again(silent_after)

    def touch(self) -> None:
        """Bytes moved. Cheap enough for each piece of a stream."""
        self._moved_at = self._clock()
        if self._held and not self._counts and self._silent_after is not None:
            self._counts = True
            self._member.leases += 1
            self._touched(self._member)
            self._look_again(self._silent_after)

    def release(self) -> None:
        """End the use, which counts as activity if it counted. May be called twice."""
        if not self._held:
            return
        self._held = False
        if self._timer is not None:
            self._timer.cancel()
        if self._counts:
            self._member.leases -= 1
            self._touched(self._member)

    def _look_again(self, seconds: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(seconds, self._look)

    def _look(self) -> None:
        """One timer a stream, however many bytes it moves."""
        left = self._moved_at + (self._silent_after or 0.0) - self._clock()
        if left > 0:
            self._look_again(max(left, 0.001))
            return
        self._counts = False
        self._member.leases -= 1
        # Idle since the last byte, not since we noticed.
        self._member.used_at = max(self._member.used_at, self._moved_at)

    def __enter__(self) -> Lease:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()

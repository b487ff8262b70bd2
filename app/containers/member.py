"""One container of the fleet as it is now, and the leases on it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType

from app.containers.lifecycle import Life, State
from app.containers.spec import Spec

BY_HAND, DIED = "by hand", "died"


@dataclass(slots=True, eq=False)
class Member:
    """Belongs to the ``Conductor``, which alone changes ``life``.

    ``poke`` is set when something is heard about the container: a worker looks at once.
    ``sleeps`` counts how often it went down; ``sleep_reason`` is why it is going down now,
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
    wake_cause: str = BY_HAND
    poke: asyncio.Event = field(default_factory=asyncio.Event)
    worker: asyncio.Task[None] | None = None

    @property
    def name(self) -> str:
        """Its name here."""
        return self.spec.name

    @property
    def target(self) -> str | None:
        """The id to act on; ``None`` while the engine knows no such container."""
        return None if self.life.state is State.MISSING else self.container_id

    def idle_seconds(self, now: float) -> float:
        """Since the last use, or since the present state began; 0 while it is leased."""
        return 0.0 if self.leases else max(0.0, now - max(self.used_at, self.life.since))

    def awake_seconds(self, now: float) -> float:
        """In which it was ready, in total."""
        present = 0.0 if self.awake_since is None else now - self.awake_since
        return self.awake_before + present


class Lease:
    """Use of one container, from its creation until ``release`` or the end of the ``with``."""

    def __init__(self, member: Member, touched: Callable[[Member], None]) -> None:
        self._member = member
        self._touched = touched
        self._held = True
        member.leases += 1
        touched(member)

    def release(self) -> None:
        """End the use, which counts as activity. May be called twice."""
        if self._held:
            self._held = False
            self._member.leases -= 1
            self._touched(self._member)

    def __enter__(self) -> Lease:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()

"""What a gateway says about a container, held against what the engine knows of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import inf

from tests.containers.simulation.plan import STARTUP_TIMEOUT, Plan
from tests.containers.simulation.record import Record


@dataclass(slots=True)
class Tracked:
    """One name at the engine. ``usable``: it is ready, and nobody stops it; ``lost_by`` and
    ``lost_at``: who made it unusable, and when; ``troubled_at``: when something last went wrong.
    """

    there: bool = True
    up: bool = False
    usable: bool = False
    usable_since: float = 0.0
    lost_by: str = "nobody"
    lost_at: float = 0.0
    troubled_at: float = -1.0
    busy_since: float = inf
    held_by: dict[str, float] = field(default_factory=dict)
    used_by: set[str] = field(default_factory=set)

    def lose(self, record: Record) -> None:
        """It cannot be used from now on."""
        self.troubled_at = record.at
        if self.usable:
            self.usable, self.lost_at, self.lost_by = False, record.at, record.by


class Claims:
    """Says ``fail`` when a gateway takes for down what runs, or for failed what did not fail."""

    def __init__(
        self, plan: Plan, boxes: Mapping[str, Tracked], fail: Callable[[str], None]
    ) -> None:
        self._plan = plan
        self._boxes = boxes
        self._fail = fail
        self._awake_at: dict[tuple[str, str], float] = {}
        self._waking_at: dict[tuple[str, str], float] = {}
        self._states: dict[tuple[str, str], str] = {}

    def life(self, record: Record, was: str, state: str, cause: str, detail: str) -> None:
        """It went from ``was`` to ``state`` there."""
        key = (record.by, record.name)
        self._states[key] = state
        if was == "waking" and state == "awake":
            self._awake_at[key] = record.at
        elif state == "waking":
            # One that is only looked at may have ended before.
            is_probe = cause == "by hand" or (was == "stopping" and detail)
            self._waking_at[key] = -inf if is_probe else record.at
        elif was in ("awake", "draining") and state in ("asleep", "failed"):
            box = self._boxes[record.name]
            if box.usable and box.usable_since <= self._awake_at.get(key, -inf):
                self._fail(f"{record.by} takes it for {state}, and it runs")
        elif was == "waking" and state == "failed" and not self._is_reason(record, key):
            self._fail(f"{record.by} says that it failed, and nothing did")

    def _is_reason(self, record: Record, key: tuple[str, str]) -> bool:
        if self._plan.kind in ("engine", "everything"):
            return True
        since = self._waking_at.get(key, -inf)
        if record.at - since >= STARTUP_TIMEOUT:
            return True
        if any(
            self._states.get((record.by, need)) in ("failed", "missing")
            for need in self._plan.closure(record.name)
            if need != record.name
        ):
            return True
        box = self._boxes[record.name]
        return not box.there or box.troubled_at >= since

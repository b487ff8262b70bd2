"""How long wakes took, kept in little room: a histogram whose steps grow with the time. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

STEPS_PER_DOUBLING = 8
LEAST = 0.001
"""Seconds; what is shorter is counted with it."""
LAST_STEP = 20 * STEPS_PER_DOUBLING
"""About 17 minutes; what is longer is counted with it."""


@dataclass(frozen=True, slots=True)
class WakeTimes:
    """Counts by step; each step is 9 % longer than the one before, so that a quantile is told
    within 5 %. ``shortest`` and ``longest`` are exact.
    """

    counts: Mapping[int, int] = field(default_factory=dict)
    shortest: float = math.inf
    longest: float = 0.0

    @property
    def count(self) -> int:
        """How many there were."""
        return sum(self.counts.values())

    def with_one(self, seconds: float) -> WakeTimes:
        """One more took so long."""
        step = _step(seconds)
        counts = {**self.counts, step: self.counts.get(step, 0) + 1}
        return WakeTimes(counts, min(self.shortest, seconds), max(self.longest, seconds))

    def with_all(self, other: WakeTimes) -> WakeTimes:
        """Those of both."""
        steps = {*self.counts, *other.counts}
        counts = {step: self.counts.get(step, 0) + other.counts.get(step, 0) for step in steps}
        shortest = min(self.shortest, other.shortest)
        return WakeTimes(counts, shortest, max(self.longest, other.longest))

    def quantile(self, share: float) -> float | None:
        """What at least ``share`` of them took at most; ``None`` if there were none."""
        total = self.count
        if not total:
            return None
        wanted, seen = max(1, math.ceil(share * total)), 0
        for step in sorted(self.counts):
            seen += self.counts[step]
            if seen >= wanted:
                break
        return min(self.longest, max(self.shortest, _middle(step)))


def _step(seconds: float) -> int:
    if seconds <= LEAST:
        return 0
    return min(LAST_STEP, round(STEPS_PER_DOUBLING * math.log2(seconds / LEAST)))


def _middle(step: int) -> float:
    return float(LEAST * 2.0 ** (step / STEPS_PER_DOUBLING))

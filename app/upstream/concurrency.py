"""How many calls may be under way at once, and whose turn it is. PURE.

The limit finds its own height: every answer raises it a little, every sign of too much lowers it
by a third. Callers who wait go before refreshes that nobody waits for.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

SHRINK = 0.7
"""What is left of the limit after a refusal or a timeout."""


@dataclass(frozen=True, slots=True)
class Limit:
    """Between 1 and ``most``. A value: never changes. Times are monotonic seconds."""

    most: int
    height: float
    cut_at: float = -math.inf

    @classmethod
    def full(cls, most: int) -> Limit:
        """As high as it may be, as long as nothing speaks against it."""
        return cls(most, float(most))

    @property
    def calls(self) -> int:
        """How many calls may be under way."""
        return int(self.height)

    def after_answer(self) -> Limit:
        """One more for each round of answers: a whole one only when all that may go were served."""
        if self.height >= self.most:
            return self
        return replace(self, height=min(float(self.most), self.height + 1.0 / self.height))

    def after_refusal(self, began: float, now: float) -> Limit:
        """Less, once a round trip: a call that ``began`` before the last cut tells nothing new."""
        if began <= self.cut_at:
            return self
        return replace(self, height=max(1.0, self.height * SHRINK), cut_at=now)

    def again(self, hanging: int, now: float) -> Limit:
        """Begin again, towards an upstream that has just come back: with a single call beside
        those that still hang from before."""
        return replace(self, height=float(min(self.most, hanging + 1)), cut_at=now)


def background_share(limit: int) -> int:
    """How many of ``limit`` slots refreshes may use, so that a caller finds one free."""
    return max(1, limit // 2)


def may_go(
    limit: int, *, background: bool, running: int, running_background: int, in_front: int
) -> bool:
    """Whether one more call may go out now: it is the first of its line.

    ``running`` counts all that are under way, ``in_front`` the callers that wait for a slot.
    """
    if running >= limit:
        return False
    return not background or (not in_front and running_background < background_share(limit))

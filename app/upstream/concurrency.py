"""How many calls may be under way at once, and whose turn it is. PURE.

The limit finds its own height: every answer raises it a little, every sign of too much lowers it
by a third. After a recovery it begins low and doubles with every round of answers, until
something speaks against it. Callers who wait go before refreshes that nobody waits for.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

SHRINK = 0.7
"""What is left of the limit after a refusal or a timeout."""

FIRST = 2
"""Calls at once when a recovery begins: the probe was the first round, and was answered."""

ASIDE = 2
"""All that is under way, calls set aside included, is at most so many times the most."""


@dataclass(frozen=True, slots=True)
class Limit:
    """Between 1 and ``most``. A value: never changes. Times are monotonic seconds."""

    most: int
    height: float
    cut_at: float = -math.inf
    """When it was lowered last: what calls from before say was said of another height."""
    doubling: bool = False
    """Whether it looks for its height in large steps."""

    @classmethod
    def full(cls, most: int) -> Limit:
        """As high as it may be, as long as nothing speaks against it."""
        return cls(most, float(most))

    @property
    def calls(self) -> int:
        """How many calls may be under way."""
        return int(self.height)

    def after_answer(self, began: float) -> Limit:
        """One more for each round of answers: a whole one only when all that may go were served.
        While it doubles: one more for each answer."""
        if self.height >= self.most or began < self.cut_at:
            return self
        height = min(float(self.most), self.height + (1.0 if self.doubling else 1.0 / self.height))
        return replace(self, height=height, doubling=self.doubling and height < self.most)

    def after_refusal(self, began: float, now: float) -> Limit:
        """Less, once a round trip: a call that ``began`` before the last cut tells nothing new."""
        if began <= self.cut_at:
            return self
        height = max(1.0, self.height * SHRINK)
        return replace(self, height=height, cut_at=now, doubling=False)

    def again(self, now: float) -> Limit:
        """Begin again, towards an upstream that has just come back."""
        height = float(min(self.most, FIRST))
        return replace(self, height=height, cut_at=now, doubling=height < self.most)

    def within(self, most: int) -> Limit:
        """The same under another ``most``: a lower one counts at once, a higher one is climbed
        to, in large steps if nothing but the old one held it."""
        height = min(self.height, float(most))
        free = self.doubling or self.height >= self.most
        return replace(self, most=most, height=height, doubling=free and height < most)


def share_of(most: int, processes: int) -> int:
    """How many of ``most`` calls each of so many processes may have under way: one at least."""
    return max(1, most // max(1, processes))


def background_share(limit: int) -> int:
    """How many of ``limit`` slots refreshes may use, so that a caller finds one free."""
    return max(1, limit // 2)


@dataclass(frozen=True, slots=True)
class Crowd:
    """Who is under way, and who waits."""

    callers: int = 0
    refreshes: int = 0
    aside: int = 0
    """Calls that hang from before a breaker opened, of either kind; they are in neither figure."""
    in_front: int = 0
    """Callers that wait for a slot."""

    @property
    def counted(self) -> int:
        """How many count against the limit."""
        return self.callers + self.refreshes

    @property
    def running(self) -> int:
        """How many are under way in all."""
        return self.counted + self.aside


def may_go(limit: Limit, crowd: Crowd, *, background: bool) -> bool:
    """Whether one more call may go out now: it is the first of its line.

    The part of the limit that is not the refreshes' is the callers', also when more refreshes
    than that are under way: because the limit fell, or because it is one.
    """
    if crowd.counted >= limit.most or crowd.running >= ASIDE * limit.most:
        return False
    share = background_share(limit.calls)
    if background:
        return crowd.counted < limit.calls and not crowd.in_front and crowd.refreshes < share
    return crowd.counted < limit.calls or crowd.callers < max(1, limit.calls - share)

"""Who is next of those who wait. PURE.

Whoever came first goes first, until it has waited too long to have a fair try: then it goes when
nobody else is there. Where more comes than can be served, a line that is kept strictly serves
everybody in the last moment, in vain; this one serves those whose answer can still come in time.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

T = TypeVar("T")


class Line(Generic[T]):
    """Of anything hashable. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._early: OrderedDict[T, float] = OrderedDict()
        self._late: OrderedDict[T, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._early) + len(self._late)

    def join(self, one: T, late_at: float) -> None:
        """``one`` waits; from ``late_at`` on it does so in vain, most likely."""
        self._early[one] = late_at

    def leave(self, one: T) -> bool:
        """``one`` waits no more; ``False`` if it did not."""
        waited = one in self._early or one in self._late
        self._early.pop(one, None)
        self._late.pop(one, None)
        return waited

    def next(self, now: float) -> T:
        """Take out whose turn it is. ``KeyError`` when nobody waits."""
        while self._early:
            one, late_at = self._early.popitem(last=False)
            if now < late_at:
                return one
            self._late[one] = None
        # Of these, the last has the most time left.
        return self._late.popitem()[0]

"""A series at regular times: what was known at the end of each step. PURE."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from app.records.history import Point


def ends(since: int, until: int, step: int) -> list[int]:
    """The ends of the steps between ``since`` and ``until``, in seconds since 1970.

    Steps end at multiples of ``step``, so that a day's end at midnight (UTC); the last one ends
    at ``until``, wherever that is.
    """
    inner = range((since // step + 1) * step, until, step)
    return [*inner, until] if since < until else []


def count(since: int, until: int, step: int) -> int:
    """How many ends there are."""
    return len(range((since // step + 1) * step, until, step)) + (since < until)


class Walk:
    """One series, walked once from end to end, with its points in any number of pieces.

    ``known``: the last value before all that; ``None``: there was none.
    """

    def __init__(self, known: str | None, wanted: Sequence[int]) -> None:
        self._known = known
        self._wanted = list(reversed(wanted))

    def over(self, points: Sequence[Point]) -> Iterator[tuple[int, str | None]]:
        """What was known at the ends that the next ``points``, in order of time, leave behind."""
        for point in points:
            # A step has what came before its end, and not what came at it.
            while self._wanted and self._wanted[-1] <= point.at:
                yield self._wanted.pop(), self._known
            self._known = point.value

    def rest(self) -> Iterator[tuple[int, str | None]]:
        """What was known at the ends after all points."""
        while self._wanted:
            yield self._wanted.pop(), self._known

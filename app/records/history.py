"""Values over time: what a point is, and what every history promises.

Promises, held by one contract suite (``tests/records/test_history_contract.py``):

* Of one series (kind, id and field) there is at most one point in each interval of
  ``INTERVAL`` seconds: the last that was added. Adding a point twice changes nothing.
* ``series`` gives points in order of time.
* ``thin`` keeps of each series the last point in every step of the rule for its age, and nothing
  else is ever forgotten.
* Every failure of the engine is ``StoreError`` or ``StoreUnavailable``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

INTERVAL = 300.0
"""Seconds; no series is finer."""


@dataclass(frozen=True, slots=True)
class Series:
    """``kind`` is the collection, ``id`` the row's."""

    kind: str
    id: str
    field: str


class Point(NamedTuple):
    """``at`` is a wall time; ``value`` is a whole number, as text: wei do not fit a float."""

    at: float
    value: str


class History(Protocol):
    """A place for values over time. See the module's promises."""

    async def add(self, points: Sequence[tuple[Series, Point]]) -> None:
        """Remember ``points``."""

    async def series(
        self, series: Series, *, since: float, until: float, limit: int
    ) -> list[Point]:
        """The points with ``since <= at < until``, the oldest first, ``limit`` at most."""

    async def fields(self, kind: str, id_: str) -> list[str]:
        """The fields of which there are points, in order."""

    async def thin(self, now: float) -> int:
        """Forget what is finer than its age allows; how many points that were."""

    async def aclose(self) -> None:
        """Give everything back."""

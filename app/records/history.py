"""Values over time: what a point is, and what every history promises.

Promises, held by one contract suite (``tests/records/test_history_contract.py``):

* Of one series (kind, id and field) there is at most one point in each interval of
  ``INTERVAL`` seconds: the last that was added. Adding points twice changes nothing.
* ``series`` gives points in order of time, each equal to what was added.
* ``thin`` keeps of each series the last point in every step of the rule for its age
  (``app/records/thinning.py``), and nothing else is ever forgotten. It works in steps: one that
  dies in between has done a part, and the next goes on with the rest.
* Every failure of the engine is ``StoreError`` or ``StoreUnavailable``.
* ``aclose`` may be called twice; after it every other call is ``StoreUnavailable``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

INTERVAL = 300
"""Seconds; no series is finer."""


@dataclass(frozen=True, slots=True)
class Series:
    """``kind`` is the collection, ``id`` the row's."""

    kind: str
    id: str
    field: str


class Point(NamedTuple):
    """``at`` is a wall time in whole seconds; ``value`` is a whole number, as ``str`` writes it:
    wei do not fit a float."""

    at: int
    value: str


class Thinned(NamedTuple):
    """What a step did: so many places were looked at, so many points forgotten.

    A place is what a history thins at once, such as a row of the kingdom with all its series.
    """

    looked_at: int
    forgotten: int


class History(Protocol):
    """A place for values over time. See the module's promises."""

    async def add(self, points: Sequence[tuple[Series, Point]]) -> None:
        """Remember ``points``; of two of the same interval the later one in the sequence."""

    async def series(
        self, series: Series, *, since: float, until: float, limit: int
    ) -> list[Point]:
        """The points with ``since <= at < until``, the oldest first, ``limit`` at most."""

    async def latest(self, series: Series, *, before: float) -> Point | None:
        """The last point with ``at < before``."""

    async def fields(self, kind: str, id_: str) -> list[str]:
        """The fields of which there are points, in order."""

    async def thin(self, now: float, *, limit: int) -> Thinned:
        """Forget what is finer than its age allows, in ``limit`` places at most.

        Where fewer were looked at nothing more is to be done until the next day (UTC).
        """

    async def walk(self, after: str, *, limit: int) -> tuple[list[tuple[Series, Point]], str]:
        """All points of up to ``limit`` places behind ``after``, and the last of these places.

        ``""`` stands before the first place, and is told behind the last. See ``Thinned``.
        """

    async def aclose(self) -> None:
        """Give everything back."""

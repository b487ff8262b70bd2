"""Remembers how values moved: takes points from the changes that are published."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import structlog

from app.kingdom.collections import Collection
from app.records.change import Change
from app.records.history import History
from app.records.points import points_of
from app.records.thinning import day_of

_log = structlog.get_logger(__name__)
_THINNED = 2_000
"""So many places are thinned at most after a batch of changes: about a second's work."""


class Remember:
    """A sink of the publisher: ``history`` is told what changed in the fields of ``collections``
    that have one.

    It is thinned here as well, once a day and a part at a time: what it lives in is awake then, and
    need not be woken for that. ``wall`` counts from 1970.
    """

    def __init__(
        self,
        history: History,
        collections: Iterable[Collection],
        *,
        wall: Callable[[], float],
    ) -> None:
        self._history = history
        self._collections = {one.name: one for one in collections if one.history}
        self._wall = wall
        self._thinned_on = -1
        self._strange: set[tuple[str, str]] = set()

    async def __call__(self, changes: Sequence[Change]) -> None:
        """Remember what ``changes``, all of one collection, brought. Raises ``StoreError``."""
        collection = self._collections.get(changes[0].kind) if changes else None
        if collection is None:
            return
        kind = collection.remembered_as or collection.name
        points, strange = points_of(changes, kind, collection.history)
        for field in strange:
            self._complain(kind, field)
        await self._history.add(points)
        await self._thin()

    async def _thin(self) -> None:
        now = self._wall()
        if self._thinned_on == day_of(now):
            return
        done = await self._history.thin(now, limit=_THINNED)
        if done.looked_at < _THINNED:
            self._thinned_on = day_of(now)
        if done.forgotten:
            _log.debug("values over time were thinned", points=done.forgotten)

    def _complain(self, kind: str, field: str) -> None:
        if (kind, field) not in self._strange:
            self._strange.add((kind, field))
            _log.warning(
                "values that are no whole numbers are not remembered", kind=kind, field=field
            )

"""What is remembered of each id's rows, so that the next list of ids asks for the others only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cachetools import LRUCache

from app.cache.rows import Frame, Row

_OVERHEAD, _OVERHEAD_OF_ROW = 500, 300
"""Bytes that a group and each row take besides the bytes of the rows, by measurement."""
_LARGEST_SHARE = 8
"""A group over this part of the memory would push out too many others."""


@dataclass(frozen=True, slots=True)
class Group:
    """All rows of one id, maybe none, as one answer gave them."""

    rows: Sequence[Row]
    frame: Frame
    stored_at: float
    """Wall time at which the answer was there."""
    seconds: float
    """What asking took."""

    @property
    def asked_at(self) -> float:
        """Wall time at which it was asked for."""
        return self.stored_at - self.seconds


class RowMemory:
    """Groups by the shape of their question and their id; those used longest ago go first.

    They weigh ``max_bytes`` together at most. Belongs to one event loop, and never waits.
    """

    def __init__(self, max_bytes: int) -> None:
        self._largest = max_bytes // _LARGEST_SHARE
        self._groups: LRUCache[tuple[str, str], Group] = LRUCache(max_bytes, getsizeof=_weight)

    def __len__(self) -> int:
        return len(self._groups)

    @property
    def weight(self) -> float:
        """Bytes that are taken."""
        return self._groups.currsize

    def get(self, shape: str, id_: str) -> Group | None:
        """What is known, however old."""
        return self._groups.get((shape, id_))

    def put(self, shape: str, id_: str, group: Group) -> None:
        """Remember ``group`` instead of what was known; not one that is too large."""
        if _weight(group) <= self._largest:
            self._groups[shape, id_] = group
        else:
            self._groups.pop((shape, id_), None)


def _weight(group: Group) -> int:
    return _OVERHEAD + sum(len(row.raw) + _OVERHEAD_OF_ROW for row in group.rows)

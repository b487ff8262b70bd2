"""What changed in the kingdom, and what every log of changes promises.

Promises, held by one contract suite (``tests/records/test_change_log_contract.py``):

* Changes stand in the order in which they were appended, each under a cursor that is greater than
  those before it; a cursor is text, and means nothing to anybody but its log.
* Changes of one collection are appended draft by draft, and by id within a draft. The log
  remembers, longer than the changes themselves, how far each collection has come: what is at or
  before that place is there already and is not written again. So the changes of one entity are in
  order, and each is there once, however often a publisher that crashed begins anew.
* What is appended in one call is seen at once and as a whole, or not at all.
* Only about the newest ``keep`` changes are kept. Whoever asks from a cursor that is no longer
  there is told so (``CursorGone``), never given a list with a hole in it.
* Every failure of the engine is ``StoreError`` or ``StoreUnavailable``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple, Protocol

from app.errors import StoreError

KEEP = 100_000
"""How many changes a log keeps, unless it is told otherwise."""


class CursorGone(StoreError):
    """Raised when changes behind a cursor are no longer kept, or it is no cursor of this log."""


class Happened(StrEnum):
    """What became of a row."""

    ADDED = "added"
    CHANGED = "changed"
    REMOVED = "removed"


class Shift(NamedTuple):
    """A field's value before and after; ``None`` where there was no such field."""

    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class Change:
    """``kind`` is the collection, ``id`` the row's; ``draft`` is the number of the draft that
    brought it: with kind and id it tells a change that is told twice. ``at`` is the wall time of
    the fetch. ``fields`` are those that differ, of an added row none; ``row`` is the row as it is
    now, of a removed one as it was.
    """

    kind: str
    id: str
    draft: int
    happened: Happened
    at: float
    row: bytes
    fields: Mapping[str, Shift] = field(default_factory=dict)


class Told(NamedTuple):
    """A change in the log."""

    cursor: str
    change: Change


class ChangeLog(Protocol):
    """A log of changes. See the module's promises."""

    async def append(self, changes: Sequence[Change]) -> bool:
        """Append those of ``changes``, all of one collection and one draft, that are not there.

        ``False``: nothing was appended, because a newer draft of the collection was told already.
        """

    async def read(self, after: str, *, limit: int) -> list[Told]:
        """Up to ``limit`` changes behind the cursor ``after``; ``""``: from the oldest there is."""

    async def last(self) -> str:
        """The cursor of the newest change; ``""``: there is none."""

    async def wait(self, after: str, *, within: float) -> bool:
        """Return when there may be something behind ``after``, or after ``within`` seconds.

        Whether there may be. What is appended here is noticed at once, what other processes append
        within about a second. Waiting wakes nothing that sleeps, and keeps nothing awake.
        """

    async def aclose(self) -> None:
        """Give everything back."""

"""What became of a collection's drafts, and which versions count because of it. PURE.

A course is small, and everything that happens to a collection is one step of it: a store that
takes one step after another, each from what the last one left, keeps the promises of
``app/records/store.py``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby

from app.records.store import DraftVoid

REMEMBERED = 100
"""So many runs of void drafts are remembered after what they staged was forgotten. What a writer
that stood still for that long then brings would count as staged by a draft that was committed."""

Spot = tuple[str, int]
"""Where a version stands: the id of its row, and the number of its draft."""


@dataclass(frozen=True, slots=True)
class Course:
    """``draft`` is the number that was begun last, ``number`` the one that was committed last; 0
    is none. ``published``: up to which number all changes have been told, ``pruned``: up to which
    the versions in between are forgotten. ``voids`` are the first and the last number of each run
    of drafts that came to nothing, in order.
    """

    draft: int = 0
    number: int = 0
    published: int = 0
    pruned: int = 0
    voids: tuple[tuple[int, int], ...] = ()

    def begun(self, now: float) -> Course:
        """A newer draft, at the wall time ``now``.

        Its number is at least the time in seconds: also after a store was lost, and all numbers
        with it, whoever remembers a draft sees it outnumbered.
        """
        draft = max(self.draft + 1, int(now))
        if self.draft <= self.number:
            return replace(self, draft=draft)
        if self.voids and self.voids[-1][0] > self.number:  # none in between was committed
            voids = (*self.voids[:-1], (self.voids[-1][0], self.draft))
        else:
            voids = (*self.voids, (self.draft, self.draft))
        return replace(self, draft=draft, voids=voids)

    def staging(self, draft: int) -> None:
        """Raise ``DraftVoid`` unless ``draft`` is the one to be staged now."""
        if draft != self.draft:
            raise DraftVoid(f"draft {draft} is void: {self.draft} was begun after it")
        if draft == self.number:
            raise DraftVoid(f"draft {draft} is committed")

    def committed(self, number: int) -> Course:
        """The draft ``number`` counts; the same if it does already. Raises ``DraftVoid``."""
        if number == self.number:
            return self
        self.staging(number)
        return replace(self, number=number)

    def told(self, number: int) -> Course:
        """Changes up to ``number`` have been told; never more than there are, never fewer."""
        return replace(self, published=max(self.published, min(number, self.number)))

    def pruning(self) -> Course:
        """What is published is about to be forgotten."""
        return replace(self, pruned=self.published)

    def swept(self, seen: Course) -> Course:
        """What came to nothing in ``seen`` is forgotten, but for the newest numbers."""
        old = seen.voids[:-REMEMBERED]
        return replace(self, voids=tuple(run for run in self.voids if run not in old))

    def counts(self, draft: int) -> bool:
        """Whether ``draft`` is committed."""
        return 0 < draft <= self.number and not self.is_void(draft)

    def is_void(self, draft: int) -> bool:
        """Whether ``draft`` came to nothing."""
        return any(first <= draft <= last for first, last in self.voids)

    def doomed(self, spots: Iterable[Spot]) -> Iterator[Spot]:
        """Those of ``spots`` that nobody will ask for; they stand in order of id and number.

        These are the versions of void drafts, and those whose successor has been published.
        """
        for _, of_one_row in groupby(spots, key=lambda spot: spot[0]):
            before: Spot | None = None
            for spot in of_one_row:
                if self.is_void(spot[1]):
                    yield spot
                elif self.counts(spot[1]):
                    if before is not None and spot[1] <= self.pruned:
                        yield before
                    before = spot

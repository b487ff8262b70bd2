"""Whether what a run brought is plausible beside what the run before it saw. PURE.

An indexer that starts anew, or a proxy with ideas of its own, answers 200 with a part of the rows
or with something else. Such a run is not committed. But tables do shrink and rows do change their
shape in earnest: what is still so when it was looked at several times over a while is believed,
and so is what an operator says.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from app.kingdom.collections import Extent

FULL = 10
"""Rows from which on a list counts as full; shorter ones lose a large share every day."""
LOOKS, WHILE = 3, 900.0
"""Believed at this look at the earliest, and so many seconds after the first."""
_NEARLY_ALL = 0.95
"""Part of the rows that have a field which rows usually have."""
_FOREIGN = 0.25
"""Part of the usual fields that a row may lack: releases add fields and take some away."""
_STRAY = 0.01
"""Part of the rows that may look foreign."""
_MOST_SHAPES = 10_000
"""Sets of fields that are told apart; no entity has as many."""
_ABOUT = 0.05
"""Two counts that differ by no more, or by a handful, say the same."""


class Sight:
    """What one run saw: how many rows, in each part of the fan too, and what they look like."""

    def __init__(self) -> None:
        self.rows = 0
        self.parts: Counter[str] = Counter()
        self.cut_short: set[str] = set()
        """Parts that ended with a page that had nothing in it."""
        self._shapes: Counter[frozenset[str]] = Counter()
        self._shapeless = 0

    def add(self, part: str, shapes: Collection[frozenset[str]], *, last: bool) -> None:
        """A page of ``part``, by the fields of its rows."""
        self._shapes.update(shapes)
        while len(self._shapes) > _MOST_SHAPES:
            self._shapeless += self._shapes.popitem()[1]
        self.rows += len(shapes)
        self.parts[part] += len(shapes)
        if last and not shapes:
            self.cut_short.add(part)

    def usual(self) -> frozenset[str]:
        """The fields that nearly all rows have."""
        had: Counter[str] = Counter()
        for shape, count in self._shapes.items():
            had.update(dict.fromkeys(shape, count))
        return frozenset(name for name, count in had.items() if count >= self.rows * _NEARLY_ALL)

    def foreign(self, usual: frozenset[str]) -> int:
        """How many rows do not look like an entity that usually has these fields."""
        most = len(usual) * _FOREIGN
        return self._shapeless + sum(
            count for shape, count in self._shapes.items() if len(usual - shape) > most
        )


@dataclass(frozen=True, slots=True)
class Memory:
    """What is remembered of the last run that was believed, in ``Generation.facts``.

    ``foreign`` rows have less than others of the fields that are ``usual``, and were believed.
    """

    rows: int
    parts: Mapping[str, int]
    usual: frozenset[str]
    foreign: int = 0

    @classmethod
    def of(cls, sight: Sight, before: Self | None) -> Self:
        """A run that saw nothing leaves it as it was what rows look like."""
        usual = sight.usual() if sight.rows or before is None else before.usual
        return cls(sight.rows, dict(sight.parts), usual, sight.foreign(usual))

    def as_json(self) -> dict[str, Any]:
        """As it is kept."""
        return {**asdict(self), "usual": sorted(self.usual)}

    @classmethod
    def from_json(cls, fact: Any) -> Self | None:
        """What was kept; ``None`` if it is nothing of that kind."""
        try:
            parts = {str(part): int(count) for part, count in fact["parts"].items()}
            usual = frozenset(map(str, fact["usual"]))
            return cls(int(fact["rows"]), parts, usual, int(fact["foreign"]))
        except (TypeError, KeyError, ValueError, AttributeError):
            return None


@dataclass(frozen=True, slots=True)
class Suspicion:
    """Why a run is not believed: ``count`` is how many rows it is about, ``words`` for people."""

    kind: str
    count: int
    words: str


def suspect(
    before: Memory | None, now: Sight, *, extent: Extent, most_drop: float
) -> Suspicion | None:
    """What is wrong with what a run saw, if anything is; ``most_drop`` is a share of the rows."""
    foreign = now.foreign(now.usual() if before is None else before.usual)
    if foreign - (0 if before is None else before.foreign) > now.rows * _STRAY:
        words = f"{foreign} of {now.rows} rows do not look like what they should be"
        return Suspicion("foreign", foreign, words)
    if before is None:
        return None
    emptied = _emptied(before, now)
    if emptied is not None:
        return emptied
    if extent is Extent.NEWEST or before.rows < FULL:
        return None
    if now.rows < before.rows * (1 - most_drop):
        return Suspicion("dropped", now.rows, f"{now.rows} rows where there were {before.rows}")
    return None


def _emptied(before: Memory, now: Sight) -> Suspicion | None:
    for part, count in before.parts.items():
        found = now.parts[part]
        short = part in now.cut_short and count - found >= FULL
        if count >= FULL and (found == 0 or short):
            where = f" for {part}" if part else ""
            return Suspicion("emptied", found, f"{found} rows{where} where there were {count}")
    return None


@dataclass(frozen=True, slots=True)
class Hold:
    """That runs brought the same suspicious thing: first at ``since`` (wall), ``looks`` times."""

    kind: str
    count: int
    words: str
    since: float
    looks: int = 1

    def is_over(self, now: float) -> bool:
        """Whether it is to be believed by now."""
        return self.looks >= LOOKS and now - self.since >= WHILE

    def as_json(self) -> dict[str, Any]:
        """For ``JobState.holds``."""
        return asdict(self)


def hold_of(known: Mapping[str, Any], collection: str) -> Hold | None:
    """What is remembered of ``collection`` in ``JobState.holds``."""
    try:
        return Hold(**known[collection])
    except (KeyError, TypeError):
        return None


def held(before: Hold | None, found: Suspicion, now: float) -> Hold:
    """What is to be remembered after a run that found something."""
    looks, since = 1, now
    # A first look in the future was made by another clock.
    if before is not None and before.since <= now and _is_same(before, found):
        looks, since = before.looks + 1, before.since
    return Hold(found.kind, found.count, found.words, since, looks)


def _is_same(before: Hold, found: Suspicion) -> bool:
    """Rows that go on falling, or come back one by one, are not the same thing seen again."""
    about = max(float(FULL), max(before.count, found.count) * _ABOUT)
    return before.kind == found.kind and abs(before.count - found.count) < about

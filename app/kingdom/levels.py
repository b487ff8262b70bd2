"""Experience and levels: the game's own table of thresholds, since no formula gives it."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from functools import cache

from app.kingdom.constants import MAX_LEVEL
from app.kingdom.data import read_table


@cache
def thresholds() -> tuple[int, ...]:
    """The XP at which each level begins, from level 1 (0 XP) to ``MAX_LEVEL``."""
    return tuple(read_table("levels"))


def level_of(xp: int) -> int:
    """The level that ``xp`` amounts to, 1 to ``MAX_LEVEL``; XP beyond the last counts as that."""
    return max(1, bisect_right(thresholds(), xp))


def xp_for(level: int) -> int:
    """The XP at which ``level`` begins. Raises ``ValueError`` outside 1 to ``MAX_LEVEL``."""
    if not 1 <= level <= MAX_LEVEL:
        raise ValueError(f"there is no level {level}; levels go from 1 to {MAX_LEVEL}")
    return thresholds()[level - 1]


@dataclass(frozen=True, slots=True)
class Progress:
    """Where an amount of XP stands within its level."""

    level: int
    into_level: int
    """XP since the level began."""
    to_next: int
    """XP that the next level still needs; 0 at ``MAX_LEVEL``."""
    share: float
    """Part of the level that is done, 0 to 1; 1 at ``MAX_LEVEL``."""


def progress(xp: int) -> Progress:
    """Where ``xp`` stands; less than none counts as none."""
    level = level_of(xp)
    begin = xp_for(level)
    into_level = max(0, xp - begin)
    if level == MAX_LEVEL:
        return Progress(level, into_level, to_next=0, share=1.0)
    span = xp_for(level + 1) - begin
    return Progress(level, into_level, to_next=span - into_level, share=into_level / span)

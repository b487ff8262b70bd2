"""What may be asked of a history: the fields that are kept, and what follows from them. PURE.

A level follows from XP, whatever the game's table is by then, so it is not kept but read off.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from app.kingdom.collections import COLLECTIONS, SKILLS
from app.kingdom.levels import level_of


def _as_it_is(value: str) -> str:
    return value


def _level(value: str) -> str:
    return str(level_of(int(value)))


@dataclass(frozen=True, slots=True)
class Reading:
    """The field ``name``, whose values are ``read`` off those of the field ``kept``."""

    name: str
    kept: str
    read: Callable[[str], str] = _as_it_is


def readings_of(kept: Sequence[str]) -> Mapping[str, Reading]:
    """All that follows from the fields that are ``kept``, by name."""
    levels = [Reading(f"{skill}Level", f"{skill}XP", _level) for skill in SKILLS]
    known = [*map(_itself, kept), *(level for level in levels if level.kept in kept)]
    return {reading.name: reading for reading in known}


def _itself(name: str) -> Reading:
    return Reading(name, name)


READINGS: Mapping[str, Mapping[str, Reading]] = {
    one.name: readings_of(one.history) for one in COLLECTIONS.values() if one.history
}
"""By kind and name."""

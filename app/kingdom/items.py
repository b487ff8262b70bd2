"""What kind of thing an item is, which its token id tells: every kind has a range of ids."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Final

from app.kingdom.data import read_table

OTHER: Final = "other"
"""The category of a token id that no range holds: one that came with a newer game than ours."""


@cache
def ranges() -> Mapping[str, range]:
    """Every category with its token ids. ``combat`` also holds the ids of each kind of weapon."""
    return MappingProxyType(
        {name: range(first, last + 1) for name, (first, last) in read_table("ranges").items()}
    )


def categories() -> tuple[str, ...]:
    """Every category, by token id, and at the end ``OTHER``."""
    return (*ranges(), OTHER)


def category_of(token_id: int) -> str:
    """The category of an item: ``head``, ``sword``, ``raw_fish`` …, or ``OTHER``.

    Where ranges overlap the narrowest counts: an id among the swords is ``sword``, one of the
    combat range that no weapon claims is ``combat``.
    """
    return next((name for name, ids in _narrow_first() if token_id in ids), OTHER)


@cache
def _narrow_first() -> tuple[tuple[str, range], ...]:
    return tuple(sorted(ranges().items(), key=lambda entry: len(entry[1])))

"""In which order the upstream sees values: ids as text, numbers written as text as numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any


def sort_keys(field: str, values: Sequence[Any]) -> list[Any]:
    """Keys that sort ``values`` of the column ``field``.

    ``id`` is text. Other columns are numbers if everything in them can be one (XP and wei come
    as text), else text. What is missing comes first, and a nested row counts by its id.
    """
    plain = [_plain(value) for value in values]
    if field == "id":
        return ["" if value is None else str(value) for value in plain]
    try:
        return [-1 if value is None or value == "" else int(value) for value in plain]
    except (ValueError, TypeError):
        return ["" if value is None else str(value) for value in plain]


def places(keys: Sequence[Any], ids: Callable[[], Sequence[Any]]) -> list[int]:
    """The places of ``keys`` in ascending order; what is equal stands in the order of ``ids``.

    ``ids`` is only called if something is equal.
    """
    found = sorted(range(len(keys)), key=keys.__getitem__)
    if all(keys[one] != keys[other] for one, other in pairwise(found)):
        return found
    texts = sort_keys("id", ids())
    return sorted(range(len(keys)), key=lambda place: (keys[place], texts[place]))


def _plain(value: Any) -> Any:
    return value.get("id") if isinstance(value, dict) else value

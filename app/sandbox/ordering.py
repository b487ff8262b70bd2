"""In which order the upstream sees values: ids as text, numbers written as text as numbers."""

from __future__ import annotations

from collections.abc import Sequence
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


def _plain(value: Any) -> Any:
    return value.get("id") if isinstance(value, dict) else value

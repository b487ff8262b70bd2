"""What changes mean for values over time. PURE."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from app.records.change import Change, Happened
from app.records.history import Point, Series

_WHOLE = re.compile(r"-?[0-9]{1,100}")


class Points(NamedTuple):
    """What is to be remembered, and of which fields there is something that cannot be."""

    points: list[tuple[Series, Point]]
    strange: set[str]


def points_of(changes: Sequence[Change], kind: str, fields: Sequence[str]) -> Points:
    """The values of ``fields`` that ``changes`` of rows of ``kind`` brought: of an added row all,
    of a changed one those that differ, of a removed one none.

    A dotted field is the sum of what stands under its second name in the objects of a list. Values
    are whole numbers; of others nothing is remembered, and of ``null`` nothing is to be.
    """
    found = Points([], set())
    for change in changes:
        row = _row(change)
        for field in fields:
            _note(change, Series(kind, change.id, field), row, found)
    return found


def _note(change: Change, series: Series, row: Mapping[str, Any], found: Points) -> None:
    field = series.field
    top = field.partition(".")[0]
    if top not in row or row[top] is None:
        return
    value = value_of(row[top], field)
    if value is None:
        found.strange.add(field)
        return
    if top in change.fields and value == value_of(change.fields[top].before, field):
        return  # something else in it changed
    found.points.append((series, Point(int(change.at), value)))


def _row(change: Change) -> Mapping[str, Any]:
    """The fields that are new, with their values."""
    match change.happened:
        case Happened.ADDED:
            # Not orjson: it rounds whole numbers over 64 bits.
            row = json.loads(change.row)
            return row if isinstance(row, dict) else {}
        case Happened.CHANGED:
            return {name: shift.after for name, shift in change.fields.items()}
        case Happened.REMOVED:
            return {}


def value_of(value: Any, field: str) -> str | None:
    """``value``, what a row has in the first part of ``field``, as a whole number in text.

    ``None``: it is none.
    """
    _, dot, inner = field.partition(".")
    if not dot:
        number = _whole(value)
        return None if number is None else str(number)
    if not isinstance(value, list):
        return None
    numbers = [_whole(one.get(inner)) if isinstance(one, dict) else None for one in value]
    known = [number for number in numbers if number is not None]
    return str(sum(known)) if len(known) == len(numbers) else None


def _whole(value: Any) -> int | None:
    if isinstance(value, str):
        return int(value) if _WHOLE.fullmatch(value) else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None

"""What a difference between two versions of a row is to those who are told of it. PURE."""

from __future__ import annotations

import json
from typing import Any

from app.records.change import Change, Happened, Shift
from app.records.store import Difference


def change_of(kind: str, difference: Difference) -> Change | None:
    """``difference`` as a change of the collection ``kind``; ``None`` if nothing happened."""
    before, after = difference.before, difference.after
    if before is None:
        if after.gone:
            return None
        happened = Happened.ADDED
    elif after.gone:
        happened = Happened.REMOVED
    elif before.digest == after.digest:
        return None
    else:
        happened = Happened.CHANGED
    fields = {}
    if happened is Happened.CHANGED and before is not None:
        fields = shifted(before.raw, after.raw)
    return Change(kind, after.id, difference.number, happened, after.at, after.raw, fields)


def shifted(before: bytes, after: bytes) -> dict[str, Shift]:
    """The fields, of the row itself and not of what is in it, that differ, by name.

    Values are whole, however long: a row bounds them. What is no object has no fields.
    """
    old, new = _fields(before), _fields(after)
    return {
        name: Shift(old.get(name), new.get(name))
        for name in sorted(old.keys() | new.keys())
        if _spelled(name, old) != _spelled(name, new)
    }


def _spelled(name: str, fields: dict[str, Any]) -> str | None:
    # As text, because true is 1 and 1 is 1.0 to a comparison of values.
    return json.dumps(fields[name], sort_keys=True) if name in fields else None


def _fields(raw: bytes) -> dict[str, Any]:
    """The row; numbers of any size as they are (``orjson`` would round those over 64 bits)."""
    try:
        row = json.loads(raw)
    except ValueError:
        return {}
    return row if isinstance(row, dict) else {}

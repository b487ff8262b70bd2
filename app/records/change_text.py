"""Changes as JSON: what the logs write down, and what clients are told. PURE.

Numbers of any size stay what they are, and a row is the bytes that the upstream sent.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from app.records.change import Change, Shift, Told

_NO_BREAKS = bytes.maketrans(b"\r\n", b"  ")
"""A break stands between a row's values, never within one, and ends a line of an event stream."""


def pack_fields(fields: Mapping[str, Shift]) -> str:
    """``fields`` as a JSON object of pairs: before, after."""
    return _compact({name: [shift.before, shift.after] for name, shift in fields.items()})


def read_fields(text: str | bytes) -> dict[str, Shift]:
    """What ``pack_fields`` packed. Raises ``ValueError``, ``TypeError`` for anything else."""
    return {name: Shift(*pair) for name, pair in json.loads(text).items()}


def told_json(told: Told) -> bytes:
    """What clients are told, as a JSON object on one line."""
    change = told.change
    head = {
        "cursor": told.cursor,
        "kind": change.kind,
        "id": change.id,
        "happened": change.happened,
        "at": rfc3339(change.at),
        "fields": _from_to(change),
    }
    return _compact(head)[:-1].encode() + b',"row":' + change.row.translate(_NO_BREAKS) + b"}"


def rfc3339(at: float) -> str:
    """A wall time in UTC, to the millisecond: ``2026-11-21T15:04:05.678Z``."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def _from_to(change: Change) -> dict[str, Any]:
    return {
        name: {"from": shift.before, "to": shift.after} for name, shift in change.fields.items()
    }


def _compact(value: Any) -> str:
    # In ASCII: half a character, of a name that was cut, can be told in no other way.
    return json.dumps(value, separators=(",", ":"))

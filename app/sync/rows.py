"""The rows of an answer, cut out of its body as the bytes that they came in. PURE.

What stands between rows is of no interest, so any spelling of JSON will do; what stands within a
row stays as it is.
"""

from __future__ import annotations

import json
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, NamedTuple

from app.errors import SyncError
from app.json_signs import before, expect, refuse_constant, skip_space
from app.sync.compare import digest_of

_STEP = 64 * 1024
_META = "_meta"


class Row(NamedTuple):
    """One row: its id, its bytes, what its content comes to, and the fields that it has."""

    id: str
    raw: bytes
    digest: str
    fields: frozenset[str]


@dataclass(frozen=True, slots=True)
class Shape:
    """How rows are found: under ``envelope``, told apart by ``key``.

    ``only``: the id of the row where there is no more than one, and it has none of its own.
    """

    envelope: str
    key: str
    only: str | None = None


def cut(body: bytes, shape: Shape) -> Generator[None, None, list[Row]]:
    """The rows in ``body``: those of its list, its one object, or none if that is ``null``.

    They stand under the envelope's key or, since some of those are guessed, under the only key
    there is but ``_meta``. Yields now and then, so that the caller may let others run. Raises
    ``SyncError`` if they are no rows that could be kept.
    """
    try:
        found = yield from _values(body.decode(), shape)
    except (ValueError, RecursionError):
        raise SyncError("the answer is not one JSON object") from None
    data = {key: rows for key, rows in found.items() if key != _META}
    if shape.envelope not in data and len(data) != 1:
        raise SyncError(f"there is no {shape.envelope!r} in the answer")
    rows = data.get(shape.envelope, next(iter(data.values())))
    if rows is None:
        raise SyncError(f"what stands under {shape.envelope!r} is not rows with a {shape.key!r}")
    return rows


Found = list[Row] | None
"""The rows under a key; ``None``: something else is there."""


def _values(text: str, shape: Shape) -> Generator[None, None, dict[str, Found]]:
    decoder = json.JSONDecoder(parse_constant=refuse_constant)
    found: dict[str, Found] = {}
    at = skip_space(text, expect(text, skip_space(text, 0), "{"))
    while text[at : at + 1] != "}" or found:
        key, at = decoder.raw_decode(text, before(text, at, '"'))
        at = skip_space(text, expect(text, skip_space(text, at), ":"))
        if key != _META and text[at : at + 1] == "[":
            found[key], at = yield from _list(text, at, shape, decoder)
        else:
            value, end = decoder.raw_decode(text, at)
            found[key] = _single(value, text[at:end], shape)
            at = end
        at = skip_space(text, at)
        if text[at : at + 1] == "}":
            break
        at = skip_space(text, expect(text, at, ","))
    if skip_space(text, at + 1) != len(text):
        raise ValueError("something follows the object")
    return found


def _list(
    text: str, at: int, shape: Shape, decoder: json.JSONDecoder
) -> Generator[None, None, tuple[Found, int]]:
    """The rows of the list whose bracket stands at ``at``, and where it has ended."""
    rows: list[Row] = []
    sound = True
    at = seen = skip_space(text, at + 1)
    if text[at : at + 1] == "]":
        return rows, at + 1
    while True:
        value, end = decoder.raw_decode(text, at)
        row = _row(value, text[at:end], shape)
        sound = sound and row is not None
        if row is not None:
            rows.append(row)
        if end - seen >= _STEP:
            seen = end
            yield
        at = skip_space(text, end)
        if text[at : at + 1] == "]":
            return (rows if sound else None), at + 1
        at = skip_space(text, expect(text, at, ","))


def _single(value: Any, text: str, shape: Shape) -> Found:
    if value is None:
        return []
    row = _row(value, text, shape)
    return None if row is None else [row]


def _row(value: Any, text: str, shape: Shape) -> Row | None:
    """``None`` if it is not an object, or nothing tells it from others."""
    if not isinstance(value, dict):
        return None
    own = shape.only if shape.only is not None else value.get(shape.key)
    if isinstance(own, bool) or not isinstance(own, str | int) or own == "":
        return None
    return Row(str(own), text.encode(), digest_of(value), frozenset(value))

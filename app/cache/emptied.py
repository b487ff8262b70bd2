"""A list that was full and is suddenly empty: more likely an upstream in trouble than the truth.

PURE. An indexer that starts anew answers 200 with lists that have nothing in them. Such an answer
is not believed at once, but lists do become empty in earnest: what is still so when it was looked
at several times over a while is believed.
"""

from __future__ import annotations

from dataclasses import dataclass

import orjson

FULL = 10
"""Rows from which on a list counts as full; shorter ones empty themselves every day."""
LOOKS, WHILE = 3, 60.0
"""Believed at this look at the earliest, and so many seconds after the first."""
_SMALL = 4096
"""Bytes below which a body may be an empty list with something around it."""
_META = "_meta"


@dataclass(frozen=True, slots=True)
class Doubt:
    """That an answer was empty: first ``since`` (monotonic seconds), ``looks`` times in a row."""

    since: float
    looks: int = 1

    def again(self) -> Doubt:
        """It was so once more."""
        return Doubt(self.since, self.looks + 1)

    def is_over(self, now: float) -> bool:
        """Whether it is to be believed by now."""
        return self.looks >= LOOKS and now - self.since >= WHILE


def is_suddenly_empty(before: bytes, after: bytes) -> bool:
    """Whether every list in the body ``after`` is empty, of which one was full in ``before``.

    Bodies that are no objects, or have no lists, never are.
    """
    if len(after) > _SMALL or len(before) <= len(after):
        return False
    now = _lists(after)
    if not now or any(now.values()):
        return False
    return any(_lists(before).get(name, 0) >= FULL for name in now)


def _lists(body: bytes) -> dict[str, int]:
    """How long the top-level lists of a body are, by their names."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    if not isinstance(document, dict):
        return {}
    rows = {name: value for name, value in document.items() if name != _META}
    return {name: len(value) for name, value in rows.items() if isinstance(value, list)}

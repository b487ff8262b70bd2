"""What the sandbox was asked, so that a test can prove what did not reach it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

MOST_TARGETS = 10_000


class Counts:
    """Requests to the kingdom since the last reset; the control paths are not counted.

    A target is a request in its canonical form, so that the order of parameters and a trailing
    slash make no difference. Only the first ``MOST_TARGETS`` different ones are told apart.
    """

    def __init__(self) -> None:
        self._in_flight = 0
        self.reset()

    def reset(self) -> None:
        """Begin anew; what is under way stays under way."""
        self.total = 0
        self._operations: Counter[str] = Counter()
        self._targets: Counter[str] = Counter()
        self._others = 0
        self._most_in_flight = self._in_flight

    @contextmanager
    def under_way(self, operation: str, target: str) -> Iterator[None]:
        """Count a request, and for as long as this lasts that it is being answered."""
        self.total += 1
        self._operations[operation] += 1
        if target in self._targets or len(self._targets) < MOST_TARGETS:
            self._targets[target] += 1
        else:
            self._others += 1
        self._in_flight += 1
        self._most_in_flight = max(self._most_in_flight, self._in_flight)
        try:
            yield
        finally:
            self._in_flight -= 1

    def report(self) -> dict[str, Any]:
        """Everything counted, as JSON."""
        return {
            "total": self.total,
            "in_flight": self._in_flight,
            "most_in_flight": self._most_in_flight,
            "operations": dict(self._operations.most_common()),
            "targets": dict(self._targets.most_common()),
            "other_targets": self._others,
        }


def canonical(method: str, path: str, query: str) -> str:
    """A request as it is counted: ``/items?numToFetch=9&orderBy=id``, ``POST /players/multi``."""
    sorted_query = "&".join(sorted(part for part in query.split("&") if part))
    target = path.removesuffix("/") + (f"?{sorted_query}" if sorted_query else "")
    return target if method in ("GET", "HEAD") else f"{method} {target}"

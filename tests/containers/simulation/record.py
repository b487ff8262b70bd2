"""What happened in a simulation, in order: the only thing that the invariants look at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple


class Record(NamedTuple):
    """At ``at`` (virtual seconds) ``what`` happened to ``name``; ``by`` names who did it, and
    ``detail`` what else is worth knowing.
    """

    at: float
    what: str
    name: str = ""
    by: str = ""
    detail: Any = None

    def __str__(self) -> str:
        detail = "" if self.detail is None else f" {self.detail}"
        return f"{self.at:10.3f}  {self.name:6} {self.what:12} {self.by}{detail}".rstrip()


class Journal:
    """Written by the engine and by those who use the gateways, never by a gateway."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.records: list[Record] = []
        self._clock = clock

    def write(self, what: str, name: str = "", by: str = "", detail: object = None) -> None:
        """Note it, with the time."""
        self.records.append(Record(self._clock(), what, name, by, detail))

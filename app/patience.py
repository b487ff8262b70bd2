"""How long a peer may keep us waiting, and for what. Pure: it is told what time it is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class Awaited(StrEnum):
    """What a peer owes us."""

    HEAD = "head"
    """A request, or the rest of its head."""
    BODY = "body"
    """The rest of a request's body."""
    READING = "reading"
    """That it takes what we have to give."""


class Standing(NamedTuple):
    """How things stand with a peer: ``mark`` is another one after any progress."""

    awaited: Awaited
    mark: tuple[int, ...] = ()


class Wait(NamedTuple):
    """A standing, and since when it is the same."""

    standing: Standing
    since: float


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds that things may stand still."""

    head: float = 10.0
    body: float = 30.0
    reading: float = 60.0

    @property
    def glance(self) -> float:
        """Seconds between two looks: so much later than its time a peer may be dropped."""
        return min(self.head, self.body, self.reading, 10.0) / 4

    def is_over(self, wait: Wait, now: float) -> bool:
        """Whether a peer kept us waiting for too long."""
        limits = {
            Awaited.HEAD: self.head,
            Awaited.BODY: self.body,
            Awaited.READING: self.reading,
        }
        return now - wait.since >= limits[wait.standing.awaited]


def go_on(before: Wait | None, standing: Standing, now: float) -> Wait:
    """The wait that goes on while things stand still, and begins anew with any progress."""
    return before if before is not None and before.standing == standing else Wait(standing, now)

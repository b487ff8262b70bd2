"""Which lines of a container's log belong to its present run. Pure.

The engine keeps the lines of all runs, one after the other, each with the time at which it was
written by the host's clock. A clock that is set back lets new lines look older than old ones, so
the order counts where it can: what comes after the last line from before the start.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.containers.observed import Inspected

BEFORE_START = 1.0
"""What a program writes first is older than the moment that the engine takes for its start."""


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line, and when it was written by the engine's clock, in its own words: they are exact."""

    stamp: str
    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Mark:
    """How far the log went when the container was seen to be down; ``None``: it was empty."""

    last: LogLine | None


def of_this_run(lines: Sequence[LogLine], details: Inspected, mark: Mark | None) -> str:
    """What the present run wrote.

    With a ``mark`` that is what comes after it; all of it, if so much was written since that the
    marked line is not among them. Without one nobody was there when it started, and only the
    times are left: since the end of the run before, or, where that is later than the present
    start, for the clock was set back in between, since that start.
    """
    if mark is not None:
        begin = 0
        if mark.last is not None and mark.last in lines:
            begin = len(lines) - tuple(reversed(lines)).index(mark.last)
        return "\n".join(line.text for line in lines[begin:])
    since = details.finished_at
    if since > details.started_at:
        since = details.started_at - BEFORE_START
    return "\n".join(line.text for line in lines if line.at > since)

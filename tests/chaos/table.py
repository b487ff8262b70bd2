"""The table at the end of a run."""

from __future__ import annotations

from collections.abc import Sequence

from tests.chaos.run import Result

_HEAD = (
    "fault",
    "requests",
    "failed",
    "wrong",
    "again",
    "slowest",
    "new",
    "grown",
    "recovered after",
)


def table(results: Sequence[Result]) -> list[str]:
    """Lines: one for each fault, under a head."""
    rows = [_HEAD, *map(_row, results)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    return ["  ".join(_aligned(row, widths)).rstrip() for row in rows]


def _row(result: Result) -> tuple[str, ...]:
    known, new = result.known, result.new
    return (
        result.fault,
        str(known.requests),
        str(known.failed),
        str(known.wrong),
        str(known.again),
        f"{known.slowest * 1000:.0f} ms",
        f"{new.requests} in {new.slowest * 1000:.0f} ms",
        f"{result.growth / 1e6:.1f} MB",
        f"{result.recovered_after:.1f} s",
    )


def _aligned(row: Sequence[str], widths: Sequence[int]) -> list[str]:
    first, *others = zip(row, widths, strict=True)
    return [first[0].ljust(first[1]), *(text.rjust(width) for text, width in others)]

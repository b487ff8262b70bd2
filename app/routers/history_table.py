"""A history as CSV: a line for every time at which something is known, a column for each field."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncGenerator
from contextlib import aclosing

from app.records.excerpts import Excerpt
from app.routers.moments import written


async def table(excerpts: AsyncGenerator[Excerpt, None]) -> AsyncGenerator[str, None]:
    """The lines of ``excerpts``, each a piece, under a line of names; a cell is empty where there
    is no value. ``excerpts`` is closed.
    """
    named = False
    async with aclosing(excerpts) as parts:
        async for part in parts:
            text = io.StringIO()
            lines = csv.writer(text)
            if not named:
                lines.writerow(["time", *part.series])
                named = True
            lines.writerows(_rows(part))
            yield text.getvalue()


def _rows(part: Excerpt) -> list[list[str]]:
    """In order of time; what is known at the same time stands in one."""
    by_time: dict[int, dict[str, str]] = {}
    for name, values in part.series.items():
        for at, value in values:
            by_time.setdefault(at, {})[name] = value or ""
    return [
        [written(at), *(cells.get(name, "") for name in part.series)]
        for at, cells in sorted(by_time.items())
    ]

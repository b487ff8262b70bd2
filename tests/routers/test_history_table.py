"""A history as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncGenerator

from app.records.excerpts import Excerpt
from app.routers.history_table import table


async def excerpts(*parts: Excerpt) -> AsyncGenerator[Excerpt, None]:
    for part in parts:
        yield part


async def test_a_line_for_every_time_and_a_column_for_every_field() -> None:
    first = Excerpt({"a": [(0, "1"), (600, "2")], "b": [(0, "7")]}, next=900)
    second = Excerpt({"a": [], "b": [(900, "8"), (1200, None)]})
    pieces = [piece async for piece in table(excerpts(first, second))]
    assert len(pieces) == 2
    assert list(csv.reader(io.StringIO("".join(pieces)))) == [
        ["time", "a", "b"],
        ["1970-01-01T00:00:00Z", "1", "7"],
        ["1970-01-01T00:10:00Z", "2", ""],
        ["1970-01-01T00:15:00Z", "", "8"],
        ["1970-01-01T00:20:00Z", "", ""],
    ]


async def test_who_reads_no_further_lets_go_of_the_rest() -> None:
    parts = excerpts(Excerpt({"a": [(0, "1")]}, next=1), Excerpt({"a": []}))
    lines = table(parts)
    await anext(lines)
    await lines.aclose()
    assert [part async for part in parts] == []

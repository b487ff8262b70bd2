"""What only the embedded history has: nothing is found by walking, and a point is small."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from app.records.history import Point, Series
from app.records.schema import MIGRATIONS
from app.records.sqlite_history import DUE, FIELDS, FIRST, LATEST, PART, SERIES
from tests.records.histories import DAY, TODAY, at_day, sqlite_history

NAMED = {"kind": "k", "id": "i", "field": "f", "since": 0, "until": 1, "first": 0, "last": 1}
POINTS = "SEARCH points USING PRIMARY KEY "


@pytest.fixture
def database() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:")) as made:
        for statements in MIGRATIONS:
            for statement in statements:
                made.execute(statement)
        yield made


@pytest.mark.parametrize(
    ("query", "values", "way"),
    [
        (SERIES, NAMED | {"limit": 1}, f"{POINTS}(row=? AND field=? AND slot>? AND slot<?)"),
        (LATEST, NAMED, f"{POINTS}(row=? AND field=? AND slot<?)"),
        (FIELDS, NAMED, f"{POINTS}(row=? AND field=?)"),
        (PART, (1, 0, 1), f"{POINTS}(row=? AND field=? AND slot>? AND slot<?)"),
        (FIRST, (1, 0), f"{POINTS}(row=? AND field=? AND slot>?)"),
        (DUE, (1, 1), "SEARCH remembered USING COVERING INDEX remembered_due (due<?)"),
    ],
    ids=["series", "latest", "fields", "part", "first", "due"],
)
def test_points_are_one_range(
    database: sqlite3.Connection, query: str, values: dict[str, object], way: str
) -> None:
    steps = [step[3] for step in database.execute(f"EXPLAIN QUERY PLAN {query}", values)]
    assert way in steps
    walked = [step for step in steps if step.startswith("SCAN") and "fields" not in step]
    assert walked in ([], ["SCAN CONSTANT ROW"])
    sorted_again = any("TEMP B-TREE" in step for step in steps)
    assert sorted_again is (query is PART), "these are few"


async def test_a_point_takes_few_bytes(tmp_path: Path) -> None:
    """As ``docs/reference/history.md`` says; more would be a mistake in the schema."""
    history, rng = sqlite_history(tmp_path), random.Random(1)
    players = [Series("players", str(200_000 + n), "meleeXP") for n in range(400)]
    days = [(TODAY - n) * DAY + rng.randrange(DAY) for n in range(100)]
    points = [(one, Point(at, str(rng.randrange(10**7)))) for one in players for at in days]
    await history.add(points)
    await history.aclose()
    with closing(sqlite3.connect(tmp_path / "records.sqlite3")) as file:
        [(pages,)] = file.execute("PRAGMA page_count").fetchall()
        [(size,)] = file.execute("PRAGMA page_size").fetchall()
    assert pages * size / len(points) < 36


async def test_what_is_written_together_may_be_more_than_one_transaction(tmp_path: Path) -> None:
    history = sqlite_history(tmp_path)
    series = [Series("players", str(number), "totalXP") for number in range(5_000)]
    await history.add([(one, at_day(-1)) for one in series])
    assert await history.latest(series[-1], before=1e11) == at_day(-1)
    await history.aclose()

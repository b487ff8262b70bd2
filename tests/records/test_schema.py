"""The tables that all stores of records share, and the ways in which they are looked up."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest

from app.records.schema import MIGRATIONS


@pytest.fixture
def database() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:")) as made:
        for statements in MIGRATIONS:
            for statement in statements:
                made.execute(statement)
        yield made


@pytest.mark.parametrize(
    ("query", "way"),
    [
        (
            "SELECT max(draft) FROM versions WHERE kind = 'k' AND id = 'i' AND draft <= 1",
            "COVERING INDEX sqlite_autoindex_versions_1 (kind=? AND id=? AND draft<?)",
        ),
        (
            "SELECT id FROM versions WHERE kind = 'k' AND id > 'i' ORDER BY id, draft",
            "(kind=? AND id>?)",
        ),
        (
            "SELECT 1 FROM versions WHERE kind = 'k' AND (draft, id) > (1, 'i') ORDER BY draft, id",
            "versions_by_draft (kind=? AND (draft,id)>(?,?))",
        ),
        ("SELECT draft, id FROM told WHERE kind = 'k'", "(kind=?)"),
        (
            "SELECT value FROM points WHERE row = 1 AND field = 1 AND slot >= 1",
            "PRIMARY KEY (row=? AND field=? AND slot>?)",
        ),
        (
            "SELECT number FROM remembered WHERE kind = 'k' AND id = 'i'",
            "COVERING INDEX sqlite_autoindex_remembered_1 (kind=? AND id=?)",
        ),
        (
            "SELECT number FROM remembered WHERE due <= 1 ORDER BY due",
            "COVERING INDEX remembered_due (due<?)",
        ),
    ],
)
def test_nothing_is_looked_up_by_walking(
    database: sqlite3.Connection, query: str, way: str
) -> None:
    [step] = database.execute(f"EXPLAIN QUERY PLAN {query}").fetchall()
    assert step[3].startswith("SEARCH")
    assert way in step[3]


def test_a_cursor_is_never_given_twice(database: sqlite3.Connection) -> None:
    insert = "INSERT INTO changes VALUES (NULL, 'k', 'i', 1, 'added', 1.0, x'', '{}')"
    assert database.execute(insert).lastrowid == 1
    database.execute("DELETE FROM changes")
    assert database.execute(insert).lastrowid == 2

"""The file ``records.sqlite3`` as a whole, for those who copy it or put another in its place."""

from __future__ import annotations

from collections.abc import Mapping

from app.storage.sqlite_file import Connection

_COUNTS = {
    "collections": "SELECT count(*) FROM generations",
    "rows": "SELECT coalesce(sum(rows), 0) FROM generations",
    "changes": "SELECT count(*) FROM changes",
    "points": "SELECT count(*) FROM points",
    "jobs": "SELECT count(*) FROM jobs",
}


def counts(connection: Connection) -> Mapping[str, int]:
    """How much there is of what."""
    return {name: connection.execute(query).fetchone()[0] for name, query in _COUNTS.items()}


def clear_changes(connection: Connection) -> None:
    """Forget the log of changes: it is kept elsewhere."""
    connection.execute("DELETE FROM changes")
    connection.execute("DELETE FROM told")


def rename_log(connection: Connection) -> None:
    """Give the log of changes another name, so that no cursor of it is one any more.

    A log that was put back counts on from where it was, and gives the same numbers to other
    changes than those that were told before.
    """
    connection.execute("UPDATE log SET name = lower(hex(randomblob(4)))")

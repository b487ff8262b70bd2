"""The smallest store over a file: notes, by key. For the tests of what all stores stand on."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from app.storage.sqlite_file import Connection, SqliteFile

MIGRATIONS = (
    ("CREATE TABLE notes (key TEXT PRIMARY KEY, text TEXT, body BLOB, at REAL)",),
)  # fmt: skip


class Note(NamedTuple):
    key: str = "k"
    text: str = "remember the milk"
    body: bytes = b"0123456789"
    at: float = 1.0


class Notes:
    """Notes in the file ``path``."""

    def __init__(self, path: Path, **options: Any) -> None:
        self.file = SqliteFile(path, MIGRATIONS, **options)

    async def put(self, note: Note) -> None:
        await self.file.write(partial(_put, note))

    async def get(self, key: str) -> Note | None:
        return await self.file.read(partial(_get, key))

    async def count(self) -> int:
        found: int = await self.file.read(
            lambda connection: connection.execute("SELECT count(*) FROM notes").fetchone()[0]
        )
        return found

    async def forget(self, before: float) -> int:
        """Forget the notes from before ``before``; how many."""
        statement = "DELETE FROM notes WHERE at < ?"
        return await self.file.write(
            lambda connection: connection.execute(statement, (before,)).rowcount
        )

    async def ping(self) -> None:
        await self.file.ping()

    async def aclose(self) -> None:
        await self.file.aclose()


def _put(note: Note, connection: Connection) -> None:
    connection.execute("INSERT OR REPLACE INTO notes VALUES (?, ?, ?, ?)", note)


def _get(key: str, connection: Connection) -> Note | None:
    row = connection.execute("SELECT * FROM notes WHERE key = ?", (key,)).fetchone()
    return None if row is None else Note(*row)

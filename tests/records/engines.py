"""The places in which records are kept, for tests that hold every store to the same promises."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from pymongo import MongoClient

from app.records.mongo import MongoRecords
from app.records.schema import MIGRATIONS
from app.records.sqlite import SqliteRecords
from app.records.store import RecordStore, Version
from app.storage.mongo_link import MongoLink
from app.storage.sqlite_file import SqliteFile
from tests.real.mongodb import MongoServer

PATIENCE = 30.0


@dataclass
class Wall:
    """A wall clock that stands still until it is moved."""

    now: float = 1_750_000_000.0

    def __call__(self) -> float:
        return self.now


class Engine(Protocol):
    """One kind of store over one place to keep things."""

    wall: Wall

    def open(self) -> RecordStore:
        """Another store over the same place."""

    def fail(self) -> None:
        """From now on the place cannot be used."""

    def recover(self) -> None:
        """It can be used again."""

    def empty(self) -> None:
        """Forget everything, with no store open."""


@dataclass
class SqliteEngine:
    folder: Path
    patience: float = PATIENCE
    wall: Wall = field(default_factory=Wall)

    @property
    def path(self) -> Path:
        return self.folder / "made" / "on" / "demand" / "records.sqlite3"

    def open(self) -> RecordStore:
        file = SqliteFile(self.path, MIGRATIONS, timeout=self.patience)
        return SqliteRecords(file, wall=self.wall)

    def fail(self) -> None:
        self.path.parent.rename(self.folder / "away")
        self.path.parent.write_text("a file in place of the folder")

    def recover(self) -> None:
        self.path.parent.unlink()
        (self.folder / "away").rename(self.path.parent)

    def empty(self) -> None:
        for part in self.path.parent.glob("records.sqlite3*"):
            part.unlink()


@dataclass
class MongoEngine:
    server: MongoServer
    database: str
    patience: float = PATIENCE
    wall: Wall = field(default_factory=Wall)

    def open(self) -> RecordStore:
        link = MongoLink(self.server.uri, self.database, timeout=self.patience)
        return MongoRecords(link, wall=self.wall)

    def fail(self) -> None:
        self.server.kill()

    def recover(self) -> None:
        self.server.start()

    def empty(self) -> None:
        with MongoClient[dict[str, Any]](self.server.uri) as client:
            client.drop_database(self.database)


def nobody() -> str:
    """An address where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"mongodb://127.0.0.1:{probe.getsockname()[1]}"


def unreachable(engine: Engine, folder: Path) -> RecordStore:
    """A store of the same kind whose place is not there."""
    if isinstance(engine, MongoEngine):
        link = MongoLink(nobody(), "estfor", timeout=0.1)
        return MongoRecords(link, wall=engine.wall)
    a_file = folder / "a file"
    a_file.touch()
    return SqliteEngine(a_file, wall=engine.wall).open()


def version(id_: str = "1", text: str = "ada", **changes: Any) -> Version:
    """A version of the row ``id_``, with ``changes`` by field name."""
    fields: dict[str, Any] = {
        "raw": b'{"id":"%s","name":"%s"}' % (id_.encode(), text.encode()),
        "digest": f"{id_}:{text}",
        "at": 1_750_000_000.25,
    }
    return Version(id_, **(fields | changes))


Open = Callable[[], RecordStore]


def pages(rows: list[Version], size: int) -> Iterator[list[Version]]:
    """``rows`` in pages, as a run stages them."""
    for start in range(0, len(rows), size):
        yield rows[start : start + size]

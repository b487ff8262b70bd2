"""An SQLite file and the connections to it: made, brought up to date, and moved aside if damaged.

The file is made, brought up to date and, should it be damaged, moved aside and started anew by
whoever opens it. What is kept here can be fetched again, but a file is never thrown away and never
replaced without a line in the log.
"""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import structlog

from app.errors import StoreError, StoreUnavailable
from app.storage.quarantine import Identity, alone_with, identity_of, quarantine

_log = structlog.get_logger(__name__)
T = TypeVar("T")

Connection = sqlite3.Connection
Migrations = tuple[tuple[str, ...], ...]
"""What makes schema n out of schema n - 1; ``user_version`` says which one a file has."""

_DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_UNUSABLE = {
    sqlite3.SQLITE_CANTOPEN: "check that DATA_DIR is a folder that may be written",
    sqlite3.SQLITE_READONLY: "check that DATA_DIR and the files in it may be written",
    sqlite3.SQLITE_PERM: "check that DATA_DIR and the files in it may be written",
    sqlite3.SQLITE_BUSY: "another program holds it locked",
    sqlite3.SQLITE_LOCKED: "another program holds it locked",
    sqlite3.SQLITE_IOERR: "check the disk, and that it is not full",
}
"""By the engine's primary error code: failures of the file as a whole, and what to do."""


class Damaged(StoreUnavailable):
    """Raised when the file is no sound database; ``identity`` is the file that was looked at."""

    def __init__(self, message: str, identity: Identity | None) -> None:
        super().__init__(message)
        self.identity = identity


class _Link(NamedTuple):
    connection: Connection
    identity: Identity | None


class Connections:
    """The file and the connections to it. Blocking: for threads that may wait.

    ``busy``: seconds that another writer is waited for. ``clock``: wall time.
    """

    def __init__(
        self, path: Path, migrations: Migrations, busy: float, clock: Callable[[], float]
    ) -> None:
        self.path = path
        self._migrations = migrations
        self._busy = busy
        self._clock = clock
        self._idle: deque[_Link] = deque()

    def use(self, work: Callable[[Connection], T]) -> T:
        """What ``work`` makes of a connection; every failure of the engine is a ``StoreError``.

        ``work`` is done again if the file was moved away or removed meanwhile: what it did there
        would be lost unseen. Whatever ``work`` raises undoes what it did.
        """
        while True:
            link = self._unused() or self._open()
            try:
                result = work(link.connection)
            except (sqlite3.Error, UnicodeError, OverflowError) as error:
                link.connection.close()  # and whatever was under way with it
                if link.identity == identity_of(self.path):
                    raise self._explained(error, link.identity) from error
            except BaseException:
                link.connection.close()
                raise
            else:
                if link.identity == identity_of(self.path):
                    self._idle.append(link)
                    return result
                link.connection.close()

    def set_aside(self, damaged: Identity | None) -> None:
        """Move the damaged file away, unless somebody else has already done it."""
        self.close()
        try:
            with alone_with(self.path, self._busy):
                moved_to = quarantine(self.path, damaged, self._clock())
        except OSError as error:
            raise self._explained(error, damaged) from error
        if moved_to is not None:
            _log.warning("a database file was damaged: starting anew", moved_to=str(moved_to))

    def close(self) -> None:
        """Close the connections that nobody uses at the moment."""
        while link := self._unused():
            link.connection.close()

    def _unused(self) -> _Link | None:
        try:
            return self._idle.pop()
        except IndexError:
            return None

    def _open(self) -> _Link:
        identity = None
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # Two that make the same file at once would refuse each other.
            with alone_with(self.path, self._busy):
                if not self.path.exists():
                    self.path.touch()
                identity = identity_of(self.path)
                connection = sqlite3.connect(
                    self.path, timeout=self._busy, isolation_level=None, check_same_thread=False
                )
                try:
                    self._prepare(connection)
                except BaseException:
                    connection.close()
                    raise
                return _Link(connection, identity)
        except (sqlite3.Error, OSError) as error:
            raise self._explained(error, identity) from error

    def _prepare(self, connection: Connection) -> None:
        version = _one(connection, "PRAGMA user_version")
        if version > len(self._migrations):
            raise newer(self.path, version, len(self._migrations))
        if version == 0 and _one(connection, "SELECT count(*) FROM sqlite_master"):
            raise StoreUnavailable(
                f"{self.path} belongs to another program: move it away, or set DATA_DIR"
            )
        if version == 0:  # only heeded before the first table; what is forgotten frees the disk
            connection.execute("PRAGMA auto_vacuum = FULL")
        connection.execute("PRAGMA journal_mode = WAL")
        # Survives the death of the process; a power cut may take the last moments, never more.
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA journal_size_limit = 67108864")
        if version < len(self._migrations):
            in_one_transaction([self._migrate], connection)

    def _migrate(self, connection: Connection) -> None:
        for statements in self._migrations[_one(connection, "PRAGMA user_version") :]:
            for statement in statements:
                connection.execute(statement)
        # A number of our own; pragmas take no parameters.
        connection.execute(f"PRAGMA user_version = {len(self._migrations)}")

    def _explained(self, error: Exception, identity: Identity | None) -> StoreError:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in _DAMAGE:
            return Damaged(f"{self.path} is damaged ({error})", identity)
        if code == sqlite3.SQLITE_FULL:
            return StoreError(f"the disk of {self.path} is full: free some space on it ({error})")
        if isinstance(error, OSError):
            late = isinstance(error, TimeoutError)
            code = sqlite3.SQLITE_BUSY if late else sqlite3.SQLITE_CANTOPEN
        advice = _UNUSABLE.get(code)
        if advice is not None:
            return StoreUnavailable(f"{self.path} cannot be used: {advice} ({error})")
        return StoreError(f"{self.path} refused: {error}")


def in_one_transaction(
    works: Sequence[Callable[[Connection], Any]], connection: Connection
) -> list[Any]:
    """What all of ``works`` make of ``connection``, which is alone to write meanwhile."""
    connection.execute("BEGIN IMMEDIATE")
    results = [work(connection) for work in works]
    connection.execute("COMMIT")
    return results


def in_one_view(work: Callable[[Connection], T], connection: Connection) -> T:
    """What ``work`` makes of ``connection`` as it is now, whatever others write meanwhile."""
    connection.execute("BEGIN")
    result = work(connection)
    connection.execute("COMMIT")
    return result


def newer(path: Path, written: int, known: int) -> StoreUnavailable:
    """What is wrong with a file whose schema is ``written``, for a program that knows ``known``."""
    return StoreUnavailable(
        f"{path} was written by a newer Drawbridge (its schema is {written}, this program knows"
        f" {known}): upgrade Drawbridge, or move the file away"
    )


def copy_to(target: Path, connection: Connection) -> None:
    """Write all that ``connection`` sees to the file ``target``; others may write meanwhile.

    Within one view it is all of one moment.
    """
    with closing(sqlite3.connect(target)) as copy:
        connection.backup(copy)


def schema_of(path: Path) -> int:
    """The schema of the file, which is left as it is. Raises ``StoreUnavailable``."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as file:
            return int(_one(file, "PRAGMA user_version"))
    except sqlite3.Error as error:
        raise StoreUnavailable(f"{path} cannot be read ({error})") from error


def flaw_of(path: Path) -> str | None:
    """What is wrong with the file, if anything is; it is read as a whole, and nobody writes it."""
    try:
        with closing(
            sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
        ) as file:
            found = str(_one(file, "PRAGMA integrity_check(1)"))
    except sqlite3.Error as error:
        return str(error)
    return None if found == "ok" else found


def _one(connection: Connection, query: str) -> Any:
    return connection.execute(query).fetchone()[0]

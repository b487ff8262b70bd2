"""A database file on a real disk, with what can happen to files."""

# ruff: noqa: ASYNC240 (a test may wait for its disk)
from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from app.errors import StoreError, StoreUnavailable
from app.storage.sqlite_file import SqliteFile
from tests.real.require import unavailable
from tests.storage.notes import MIGRATIONS, Note, Notes

NOON = 1_750_000_000.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "notes.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[Notes]:
    store = Notes(path, timeout=20.0, clock=lambda: NOON)
    yield store
    await store.aclose()


def asked(path: Path, query: str) -> object:
    with closing(sqlite3.connect(path)) as other:
        return other.execute(query).fetchone()[0]


def graves(path: Path) -> list[Path]:
    """The databases that were moved aside, without what SQLite keeps beside them."""
    found = path.parent.glob(f"{path.name}.corrupt-*")
    return [grave for grave in found if not grave.name.endswith(("-wal", "-shm"))]


async def fill(store: Notes, count: int = 50) -> None:
    await asyncio.gather(
        *(store.put(Note(f"k{number}", body=bytes(2_000))) for number in range(count))
    )


async def test_the_file_is_made_on_first_use(tmp_path: Path) -> None:
    store = Notes(tmp_path / "not" / "yet" / "notes.db")
    assert list(tmp_path.iterdir()) == []
    assert await store.get("k") is None
    await store.aclose()
    made = {entry.name for entry in (tmp_path / "not" / "yet").iterdir()}
    assert made == {"notes.db", "notes.db-lock"}


async def test_the_file_says_what_it_is(store: Notes, path: Path) -> None:
    await store.ping()
    assert asked(path, "PRAGMA user_version") == 1
    assert asked(path, "PRAGMA journal_mode") == "wal"
    assert asked(path, "PRAGMA auto_vacuum") == 1
    assert asked(path, "SELECT name FROM sqlite_master WHERE type = 'table'") == "notes"


async def test_a_file_of_an_older_schema_is_brought_up_to_date(path: Path) -> None:
    older = Notes(path)
    await older.put(Note("old"))
    await older.aclose()
    added = ("ALTER TABLE notes ADD COLUMN author TEXT", "UPDATE notes SET author = 'ada'")
    newer = SqliteFile(path, (*MIGRATIONS, added))
    read = "SELECT key, author FROM notes"
    assert await newer.read(lambda link: link.execute(read).fetchall()) == [("old", "ada")]
    await newer.aclose()
    assert asked(path, "PRAGMA user_version") == 2


async def test_a_migration_that_fails_leaves_the_file_as_it_was(path: Path) -> None:
    older = Notes(path)
    await older.put(Note("old"))
    await older.aclose()
    broken = ("ALTER TABLE notes ADD COLUMN author TEXT", "DELETE FROM shelves")
    newer = SqliteFile(path, (*MIGRATIONS, broken))
    with pytest.raises(StoreError, match="no such table: shelves"):
        await newer.ping()
    await newer.aclose()
    older = Notes(path)
    assert await older.get("old") == Note("old")
    await older.aclose()


async def test_eight_stores_may_make_the_file_at_once(path: Path) -> None:
    stores = [Notes(path, timeout=20.0) for _ in range(8)]
    await asyncio.gather(*(store.put(Note(str(n))) for n, store in enumerate(stores)))
    assert await stores[0].count() == 8
    await asyncio.gather(*(store.aclose() for store in stores))


async def test_space_goes_back_to_the_disk(path: Path) -> None:
    store = Notes(path)
    await store.put(Note("old", body=bytes(3_000_000), at=1.0))
    await store.put(Note("new", body=bytes(1_000_000), at=2.0))
    assert await store.forget(2.0) == 1
    await store.aclose()
    assert 1_000_000 < path.stat().st_size < 1_200_000
    store = Notes(path)
    assert await store.forget(3.0) == 1
    await store.aclose()
    assert path.stat().st_size < 100_000


async def test_a_file_that_is_no_database_is_moved_aside(store: Notes, path: Path) -> None:
    path.write_bytes(b"certainly no database " * 500)
    with capture_logs() as logs:
        await store.put(Note())
    assert await store.get("k") == Note()
    [grave] = graves(path)
    assert grave.name == "notes.db.corrupt-20250615T150640Z"
    assert grave.read_bytes() == b"certainly no database " * 500
    assert [(line["log_level"], line["moved_to"]) for line in logs] == [("warning", str(grave))]


async def test_damage_met_by_readers_is_repaired_once(path: Path) -> None:
    store = Notes(path)
    await fill(store)
    await store.aclose()
    damage_pages(path)
    store = Notes(path)
    with capture_logs() as logs:
        found = await asyncio.gather(*(store.get(f"k{number}") for number in range(50)))
    assert set(found) == {None}
    assert len(logs) == len(graves(path)) == 1
    await store.put(Note())
    assert await store.get("k") == Note()
    await store.aclose()


async def test_damage_under_an_open_store_is_repaired(store: Notes, path: Path) -> None:
    await fill(store)
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    damage_pages(path)
    with capture_logs() as logs:
        await fill(store, 60)
    assert await store.count() == 60
    assert len(logs) == len(graves(path)) == 1


async def test_two_stores_repair_one_file_once(path: Path) -> None:
    path.write_bytes(b"certainly no database " * 500)
    stores = [Notes(path, timeout=20.0) for _ in range(2)]
    await asyncio.gather(*(store.put(Note(str(n))) for n, store in enumerate(stores)))
    assert len(graves(path)) == 1
    assert await stores[0].count() == 2
    await asyncio.gather(*(store.aclose() for store in stores))


async def test_damage_of_the_same_second_buries_nothing(path: Path) -> None:
    for content in (b"first " * 200, b"second " * 200, b"third " * 200):
        path.write_bytes(content)
        store = Notes(path, clock=lambda: NOON)
        await store.ping()
        await store.aclose()
    kept = {grave.read_bytes()[:6].strip() for grave in graves(path)}
    assert kept == {b"first", b"second", b"third"}


async def test_a_file_removed_by_an_operator_is_made_again(store: Notes, path: Path) -> None:
    await store.put(Note("a"))
    await store.get("a")
    for part in path.parent.glob("notes.db*"):
        part.unlink()
    assert await store.get("a") is None
    await store.put(Note("b"))
    assert asked(path, "SELECT key FROM notes") == "b"


def damage_pages(path: Path) -> None:
    """Overwrite all but the first page, where the schema is."""
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xa5" * (path.stat().st_size - 4096))


@pytest.mark.parametrize(
    ("statement", "advice"),
    [
        ("PRAGMA user_version = 2", "newer Drawbridge .its schema is 2, this program knows 1"),
        ("CREATE TABLE recipes (name TEXT)", "belongs to another program"),
    ],
)
async def test_a_file_that_is_not_ours_is_left_alone(
    store: Notes, path: Path, statement: str, advice: str
) -> None:
    with closing(sqlite3.connect(path)) as other:
        other.execute(statement)
    before = path.read_bytes()
    for call in (store.get("k"), store.put(Note()), store.ping()):
        with pytest.raises(StoreUnavailable, match=advice):
            await call
    await store.aclose()
    assert path.read_bytes() == before
    assert set(os.listdir(path.parent)) == {path.name, f"{path.name}-lock"}


async def test_a_folder_in_place_of_the_file_is_unavailable(store: Notes, path: Path) -> None:
    path.mkdir()
    with pytest.raises(StoreUnavailable, match="DATA_DIR is a folder that may be written"):
        await store.ping()


def root_only(*command: str | Path) -> None:
    """Run a command that only root may; the test is skipped where that is not to be had."""
    if sys.platform != "linux" or os.geteuid() != 0:
        unavailable("small disk", "only root on Linux may mount one")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        unavailable("small disk", done.stderr.strip())


@pytest.fixture
async def on_small_disk(tmp_path: Path) -> AsyncIterator[Notes]:
    """A store on a disk of 2 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    root_only("mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", disk)
    store = Notes(disk / "notes.db")
    try:
        yield store
        await store.aclose()
    finally:
        root_only("umount", "--lazy", disk)


@pytest.mark.real("small disk")
async def test_an_entry_that_the_disk_cannot_hold_is_refused(on_small_disk: Notes) -> None:
    store = on_small_disk
    await store.put(Note("small"))
    with pytest.raises(StoreError, match="is full: free some space"):
        await store.put(Note("large", body=bytes(3_000_000)))
    assert await store.get("small") == Note("small")
    assert await store.get("large") is None
    await store.put(Note("other", body=bytes(10_000)))


@pytest.mark.real("small disk")
async def test_a_full_disk_refuses_and_recovers(on_small_disk: Notes, tmp_path: Path) -> None:
    store = on_small_disk
    await store.put(Note("before"))
    ballast = tmp_path / "disk" / "ballast"
    with pytest.raises(OSError, match="No space left"), ballast.open("wb") as file:
        file.write(bytes(3_000_000))
    with pytest.raises(StoreError, match="is full: free some space") as refused:
        await store.put(Note("later", body=bytes(500_000)))
    assert not isinstance(refused.value, StoreUnavailable)
    assert await store.get("before") == Note("before")
    ballast.unlink()
    await store.put(Note("later", body=bytes(500_000)))
    assert await store.count() == 2


@pytest.mark.real("small disk")
async def test_a_disk_that_may_not_be_written_is_unavailable(
    on_small_disk: Notes, tmp_path: Path
) -> None:
    disk = tmp_path / "disk"
    await on_small_disk.put(Note())
    await on_small_disk.aclose()
    root_only("mount", "-o", "remount,ro", disk)
    for path in (disk / "notes.db", disk / "another" / "notes.db"):
        store = Notes(path)
        for call in (store.put(Note("b")), store.ping()):
            with pytest.raises(StoreUnavailable, match="check that DATA_DIR"):
                await call
        await store.aclose()

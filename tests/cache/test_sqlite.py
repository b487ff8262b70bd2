"""The SQLite store on a real disk, with what can happen to files."""

# ruff: noqa: ASYNC240 (a test may wait for its disk)
from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import struct
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from app.cache.sqlite import SqliteStore
from app.cache.store import StoreStats
from app.errors import StoreError, StoreUnavailable
from tests.cache.conftest import make_entry
from tests.real.require import unavailable

NOON = 1_750_000_000.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "responses.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(path, timeout=20.0, clock=lambda: NOON)
    yield store
    await store.aclose()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """While another program is writing to the file."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


def asked(path: Path, query: str) -> object:
    with closing(sqlite3.connect(path)) as other:
        return other.execute(query).fetchone()[0]


def commits_in_wal(path: Path) -> int:
    """How many transactions the write-ahead log holds: frames that end one tell its size."""
    wal = path.with_name(path.name + "-wal").read_bytes()
    [page_size] = struct.unpack(">8xI", wal[:12])
    frames = range(32, len(wal), 24 + page_size)
    return sum(1 for at in frames if struct.unpack(">4xI", wal[at : at + 8])[0])


def graves(path: Path) -> list[Path]:
    """The databases that were moved aside, without what SQLite keeps beside them."""
    found = path.parent.glob(f"{path.name}.corrupt-*")
    return [grave for grave in found if not grave.name.endswith(("-wal", "-shm"))]


async def fill(store: SqliteStore, count: int = 50) -> None:
    await asyncio.gather(
        *(store.put(make_entry(f"k{number}", body=bytes(2_000))) for number in range(count))
    )


async def test_the_file_is_made_on_first_use(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "not" / "yet" / "responses.db")
    assert list(tmp_path.iterdir()) == []
    assert await store.get("k") is None
    await store.aclose()
    made = {entry.name for entry in (tmp_path / "not" / "yet").iterdir()}
    assert made == {"responses.db", "responses.db-lock"}


async def test_the_file_says_what_it_is(store: SqliteStore, path: Path) -> None:
    await store.ping()
    assert asked(path, "PRAGMA user_version") == 1
    assert asked(path, "PRAGMA journal_mode") == "wal"
    plan = "EXPLAIN QUERY PLAN DELETE FROM responses WHERE stored_at < 1"
    with closing(sqlite3.connect(path)) as other:
        assert "responses_by_age" in other.execute(plan).fetchone()[3]


KILLED_AFTER_PUT = """
import asyncio, os, signal, sys
from pathlib import Path
from app.cache.sqlite import SqliteStore
from tests.cache.conftest import make_entry

async def main():
    await SqliteStore(Path(sys.argv[1])).put(make_entry())
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


async def test_what_was_put_survives_the_death_of_the_process(
    store: SqliteStore, path: Path
) -> None:
    root = Path(__file__).parents[2]
    died = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", KILLED_AFTER_PUT, str(path)],
        cwd=root,
        check=False,
    )
    assert died.returncode == -signal.SIGKILL
    assert await store.get("k") == make_entry()


async def test_puts_that_gather_are_committed_together(store: SqliteStore, path: Path) -> None:
    await store.ping()
    before = commits_in_wal(path)
    with locked(path):
        puts = [asyncio.create_task(store.put(make_entry(f"k{n}"))) for n in range(200)]
        await asyncio.sleep(0)  # all stand in line; the writer has taken some and waits
    await asyncio.gather(*puts)
    assert await store.stats() == StoreStats(200, 200 * len(make_entry().body))
    assert 1 <= commits_in_wal(path) - before <= 2


async def test_one_entry_that_cannot_be_stored_takes_no_others_down(store: SqliteStore) -> None:
    entries = [make_entry(f"k{number}") for number in range(20)]
    entries[7] = make_entry("k7", target="\ud800")
    results = await asyncio.gather(*map(store.put, entries), return_exceptions=True)
    assert [result for result in results if result is None] == [None] * 19
    assert isinstance(results[7], StoreError)
    assert not isinstance(results[7], StoreUnavailable)
    assert await store.get("k7") is None
    assert (await store.stats()).entries == 19


async def test_a_put_that_was_given_up_disturbs_no_other(store: SqliteStore, path: Path) -> None:
    await store.ping()
    with locked(path):
        puts = [asyncio.create_task(store.put(make_entry(f"k{n}"))) for n in range(20)]
        await asyncio.sleep(0)
        for put in puts[:10]:
            put.cancel()
    results = await asyncio.gather(*puts, return_exceptions=True)
    assert [type(result) for result in results[:10]] == [asyncio.CancelledError] * 10
    assert results[10:] == [None] * 10
    for number in range(10, 20):
        assert await store.get(f"k{number}") is not None


async def test_readers_do_not_wait_for_a_writer(store: SqliteStore, path: Path) -> None:
    await fill(store)
    with locked(path):
        writing = asyncio.create_task(store.put(make_entry("k0", stored_at=2e9)))
        found = await asyncio.gather(*(store.get(f"k{number}") for number in range(50)))
        assert not writing.done()
    await writing
    assert None not in found


async def test_many_readers_while_writing(store: SqliteStore) -> None:
    async def write() -> None:
        for moment in range(30):
            await asyncio.gather(
                *(store.put(make_entry(f"k{n}", stored_at=float(moment))) for n in range(10))
            )

    async def read(key: str) -> list[float]:
        seen = []
        while not writing.done():
            found = await store.get(key)
            seen.append(found.stored_at if found else -1.0)
        return seen

    writing = asyncio.create_task(write())
    for seen in await asyncio.gather(*(read(f"k{number}") for number in range(10))):
        assert seen == sorted(seen)
    assert (await store.stats()).entries == 10


async def test_eight_stores_may_make_the_file_at_once(path: Path) -> None:
    stores = [SqliteStore(path, timeout=20.0) for _ in range(8)]
    await asyncio.gather(*(store.put(make_entry(str(n))) for n, store in enumerate(stores)))
    assert (await stores[0].stats()).entries == 8
    await asyncio.gather(*(store.aclose() for store in stores))


async def test_closing_waits_for_what_stands_in_line(path: Path) -> None:
    store = SqliteStore(path, timeout=20.0)
    await store.ping()
    with locked(path):
        puts = [asyncio.create_task(store.put(make_entry(f"k{n}"))) for n in range(30)]
        await asyncio.sleep(0)
        closing_it = asyncio.create_task(store.aclose())
        await asyncio.sleep(0)
    await asyncio.gather(closing_it, *puts)
    assert asked(path, "SELECT count(*) FROM responses") == 30


async def test_a_locked_file_costs_no_more_than_the_limit(path: Path) -> None:
    store = SqliteStore(path, timeout=0.2)
    await store.put(make_entry())
    with locked(path):
        for call in (store.put(make_entry()), store.delete("k"), store.ping()):
            with pytest.raises(StoreUnavailable, match="locked"):
                await call
        assert await store.get("k") is not None
    await store.ping()
    await store.aclose()


async def test_the_line_is_bounded(path: Path) -> None:
    store = SqliteStore(path, timeout=20.0, max_waiting=3)
    await store.ping()
    with locked(path):
        puts = [asyncio.create_task(store.put(make_entry(f"k{n}"))) for n in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(StoreUnavailable, match="3 calls are waiting"):
            await store.put(make_entry("one too many"))
    await asyncio.gather(*puts)
    await store.put(make_entry("now there is room"))
    await store.aclose()


async def test_space_goes_back_to_the_disk(path: Path) -> None:
    store = SqliteStore(path)
    await store.put(make_entry("old", body=bytes(3_000_000), stored_at=1.0))
    await store.put(make_entry("new", body=bytes(1_000_000), stored_at=2.0))
    assert await store.prune(2.0) == 1
    await store.aclose()
    assert 1_000_000 < path.stat().st_size < 1_200_000
    store = SqliteStore(path)
    assert await store.clear() == 1
    await store.aclose()
    assert path.stat().st_size < 100_000


async def test_a_file_that_is_no_database_is_moved_aside(store: SqliteStore, path: Path) -> None:
    path.write_bytes(b"certainly no database " * 500)
    with capture_logs() as logs:
        await store.put(make_entry())
    assert await store.get("k") == make_entry()
    [grave] = graves(path)
    assert grave.name == "responses.db.corrupt-20250615T150640Z"
    assert grave.read_bytes() == b"certainly no database " * 500
    assert [(line["log_level"], line["moved_to"]) for line in logs] == [("warning", str(grave))]


async def test_damage_met_by_readers_is_repaired_once(path: Path) -> None:
    store = SqliteStore(path)
    await fill(store)
    await store.aclose()
    damage_pages(path)
    store = SqliteStore(path)
    with capture_logs() as logs:
        found = await asyncio.gather(*(store.get(f"k{number}") for number in range(50)))
    assert set(found) == {None}
    assert len(logs) == len(graves(path)) == 1
    await store.put(make_entry())
    assert await store.get("k") == make_entry()
    await store.aclose()


async def test_damage_under_an_open_store_is_repaired(store: SqliteStore, path: Path) -> None:
    await fill(store)
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    damage_pages(path)
    with capture_logs() as logs:
        await fill(store, 60)
    assert (await store.stats()).entries == 60
    assert len(logs) == len(graves(path)) == 1


async def test_two_stores_repair_one_file_once(path: Path) -> None:
    path.write_bytes(b"certainly no database " * 500)
    stores = [SqliteStore(path, timeout=20.0) for _ in range(2)]
    await asyncio.gather(*(store.put(make_entry(str(n))) for n, store in enumerate(stores)))
    assert len(graves(path)) == 1
    assert (await stores[0].stats()).entries == 2
    await asyncio.gather(*(store.aclose() for store in stores))


async def test_damage_of_the_same_second_buries_nothing(path: Path) -> None:
    for content in (b"first " * 200, b"second " * 200, b"third " * 200):
        path.write_bytes(content)
        store = SqliteStore(path, clock=lambda: NOON)
        await store.ping()
        await store.aclose()
    kept = {grave.read_bytes()[:6].strip() for grave in graves(path)}
    assert kept == {b"first", b"second", b"third"}


async def test_a_file_removed_by_an_operator_is_made_again(store: SqliteStore, path: Path) -> None:
    await store.put(make_entry("a"))
    await store.get("a")
    for part in path.parent.glob("responses.db*"):
        part.unlink()
    assert await store.get("a") is None
    await store.put(make_entry("b"))
    assert asked(path, "SELECT key FROM responses") == "b"


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
    store: SqliteStore, path: Path, statement: str, advice: str
) -> None:
    with closing(sqlite3.connect(path)) as other:
        other.execute(statement)
    before = path.read_bytes()
    for call in (store.get("k"), store.put(make_entry()), store.ping()):
        with pytest.raises(StoreUnavailable, match=advice):
            await call
    await store.aclose()
    assert path.read_bytes() == before
    assert set(os.listdir(path.parent)) == {path.name, f"{path.name}-lock"}


async def test_a_folder_in_place_of_the_file_is_unavailable(store: SqliteStore, path: Path) -> None:
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
async def on_small_disk(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    """A store on a disk of 2 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    root_only("mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", disk)
    store = SqliteStore(disk / "responses.db")
    try:
        yield store
        await store.aclose()
    finally:
        root_only("umount", "--lazy", disk)


@pytest.mark.real("small disk")
async def test_an_entry_that_the_disk_cannot_hold_is_refused(on_small_disk: SqliteStore) -> None:
    store = on_small_disk
    await store.put(make_entry("small"))
    with pytest.raises(StoreError, match="is full: free some space"):
        await store.put(make_entry("large", body=bytes(3_000_000)))
    assert await store.get("small") == make_entry("small")
    assert await store.get("large") is None
    await store.put(make_entry("other", body=bytes(10_000)))


@pytest.mark.real("small disk")
async def test_a_full_disk_refuses_and_recovers(on_small_disk: SqliteStore, tmp_path: Path) -> None:
    store = on_small_disk
    await store.put(make_entry("before"))
    ballast = tmp_path / "disk" / "ballast"
    with pytest.raises(OSError, match="No space left"), ballast.open("wb") as file:
        file.write(bytes(3_000_000))
    with pytest.raises(StoreError, match="is full: free some space") as refused:
        await store.put(make_entry("later", body=bytes(500_000)))
    assert not isinstance(refused.value, StoreUnavailable)
    assert await store.get("before") == make_entry("before")
    ballast.unlink()
    await store.put(make_entry("later", body=bytes(500_000)))
    assert (await store.stats()).entries == 2


@pytest.mark.real("small disk")
async def test_a_disk_that_may_not_be_written_is_unavailable(
    on_small_disk: SqliteStore, tmp_path: Path
) -> None:
    disk = tmp_path / "disk"
    await on_small_disk.put(make_entry())
    await on_small_disk.aclose()
    root_only("mount", "-o", "remount,ro", disk)
    for path in (disk / "responses.db", disk / "another" / "responses.db"):
        store = SqliteStore(path)
        for call in (store.put(make_entry("b")), store.ping()):
            with pytest.raises(StoreUnavailable, match="check that DATA_DIR"):
                await call
        await store.aclose()

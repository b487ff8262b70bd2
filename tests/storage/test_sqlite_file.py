"""The line before the one writer, and the readers beside it."""

from __future__ import annotations

import asyncio
import sqlite3
import struct
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

import pytest

from app.errors import StoreError, StoreUnavailable
from app.storage.sqlite_file import Connection, SqliteFile
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


async def fill(store: Notes, count: int = 50) -> None:
    await asyncio.gather(
        *(store.put(Note(f"k{number}", body=bytes(2_000))) for number in range(count))
    )


async def test_puts_that_gather_are_committed_together(store: Notes, path: Path) -> None:
    await store.ping()
    before = commits_in_wal(path)
    with locked(path):
        puts = [asyncio.create_task(store.put(Note(f"k{n}"))) for n in range(200)]
        await asyncio.sleep(0)  # all stand in line; the writer has taken some and waits
    await asyncio.gather(*puts)
    assert await store.count() == 200
    assert 1 <= commits_in_wal(path) - before <= 2


async def test_one_entry_that_cannot_be_stored_takes_no_others_down(store: Notes) -> None:
    entries = [Note(f"k{number}") for number in range(20)]
    entries[7] = Note("k7", text="\ud800")
    results = await asyncio.gather(*map(store.put, entries), return_exceptions=True)
    assert [result for result in results if result is None] == [None] * 19
    assert isinstance(results[7], StoreError)
    assert not isinstance(results[7], StoreUnavailable)
    assert await store.get("k7") is None
    assert await store.count() == 19


async def test_a_put_that_was_given_up_disturbs_no_other(store: Notes, path: Path) -> None:
    await store.ping()
    with locked(path):
        puts = [asyncio.create_task(store.put(Note(f"k{n}"))) for n in range(20)]
        await asyncio.sleep(0)
        for put in puts[:10]:
            put.cancel()
    results = await asyncio.gather(*puts, return_exceptions=True)
    assert [type(result) for result in results[:10]] == [asyncio.CancelledError] * 10
    assert results[10:] == [None] * 10
    for number in range(10, 20):
        assert await store.get(f"k{number}") is not None


async def test_readers_do_not_wait_for_a_writer(store: Notes, path: Path) -> None:
    await fill(store)
    with locked(path):
        writing = asyncio.create_task(store.put(Note("k0", at=2e9)))
        found = await asyncio.gather(*(store.get(f"k{number}") for number in range(50)))
        assert not writing.done()
    await writing
    assert None not in found


async def test_many_readers_while_writing(store: Notes) -> None:
    async def write() -> None:
        for moment in range(30):
            await asyncio.gather(*(store.put(Note(f"k{n}", at=float(moment))) for n in range(10)))

    async def read(key: str) -> list[float]:
        seen = []
        while not writing.done():
            found = await store.get(key)
            seen.append(found.at if found else -1.0)
        return seen

    writing = asyncio.create_task(write())
    for seen in await asyncio.gather(*(read(f"k{number}") for number in range(10))):
        assert seen == sorted(seen)
    assert await store.count() == 10


async def test_closing_waits_for_what_stands_in_line(path: Path) -> None:
    store = Notes(path, timeout=20.0)
    await store.ping()
    with locked(path):
        puts = [asyncio.create_task(store.put(Note(f"k{n}"))) for n in range(30)]
        await asyncio.sleep(0)
        closing_it = asyncio.create_task(store.aclose())
        await asyncio.sleep(0)
    await asyncio.gather(closing_it, *puts)
    assert asked(path, "SELECT count(*) FROM notes") == 30


async def test_a_locked_file_costs_no_more_than_the_limit(path: Path) -> None:
    store = Notes(path, timeout=0.2)
    await store.put(Note())
    with locked(path):
        for call in (store.put(Note()), store.forget(1.0), store.ping()):
            with pytest.raises(StoreUnavailable, match="locked"):
                await call
        assert await store.get("k") is not None
    await store.ping()
    await store.aclose()


async def test_the_line_is_bounded(path: Path) -> None:
    store = Notes(path, timeout=20.0, max_waiting=3)
    await store.ping()
    with locked(path):
        puts = [asyncio.create_task(store.put(Note(f"k{n}"))) for n in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(StoreUnavailable, match="3 calls are waiting"):
            await store.put(Note("one too many"))
    await asyncio.gather(*puts)
    await store.put(Note("now there is room"))
    await store.aclose()


async def test_what_work_raises_is_raised_and_undoes_only_that(store: Notes, path: Path) -> None:
    def spoil(connection: Connection) -> None:
        connection.execute("DELETE FROM notes")
        raise LookupError("no such shelf")

    await store.put(Note("before"))
    with locked(path):
        calls = [
            asyncio.create_task(store.put(Note("a"))),
            asyncio.create_task(store.file.write(spoil)),
            asyncio.create_task(store.put(Note("b"))),
        ]
        await asyncio.sleep(0)
    one, two, three = await asyncio.gather(*calls, return_exceptions=True)
    assert (one, three) == (None, None)
    assert isinstance(two, LookupError)
    assert await store.count() == 3


async def test_what_is_read_is_of_one_moment(store: Notes) -> None:
    await store.put(Note("a"))
    loop = asyncio.get_running_loop()

    def count_twice(connection: Connection) -> list[int]:
        query = "SELECT count(*) FROM notes"
        first = connection.execute(query).fetchone()[0]
        asyncio.run_coroutine_threadsafe(store.put(Note("b")), loop).result(20)
        return [first, connection.execute(query).fetchone()[0]]

    assert await store.file.read(count_twice) == [1, 1]
    assert await store.count() == 2


async def test_a_shared_file_is_closed_with_the_last_of_its_users(path: Path) -> None:
    one = SqliteFile(path, MIGRATIONS)
    other = one.share()
    await one.ping()
    await one.aclose()
    await one.aclose()
    with pytest.raises(StoreUnavailable, match="was closed"):
        await one.ping()
    await other.ping()
    assert path.with_name("notes.db-wal").exists()
    await other.aclose()
    assert not path.with_name("notes.db-wal").exists(), "the last connection takes it along"
    with pytest.raises(StoreUnavailable, match="was closed"):
        await other.ping()


async def test_users_of_a_shared_file_commit_together(store: Notes, path: Path) -> None:
    await store.ping()
    other = store.file.share()
    before = commits_in_wal(path)

    def insert(key: str, connection: Connection) -> None:
        connection.execute("INSERT INTO notes (key) VALUES (?)", (key,))

    with locked(path):
        first = asyncio.create_task(store.put(Note("first")))
        await asyncio.sleep(0.05)  # the writer has taken it and waits
        writes = [
            asyncio.create_task(file.write(partial(insert, key)))
            for file, key in ((store.file, "a"), (other, "b"), (store.file, "c"))
        ]
        await asyncio.sleep(0)
    await asyncio.gather(first, *writes)
    assert commits_in_wal(path) - before <= 2
    assert await store.count() == 4
    await other.aclose()

"""The log of changes in a file that others use as well, or do harm to."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from app.errors import StoreError, StoreUnavailable
from app.records.change import CursorGone
from app.records.schema import MIGRATIONS
from app.records.sqlite_changes import SqliteChangeLog
from app.storage.sqlite_file import SqliteFile
from tests.processes import environment
from tests.records.told import SqlitePlace, batch, changes_in, everything, sqlite_place

ROOT = Path(__file__).parents[2]


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[SqlitePlace]:
    async with sqlite_place(tmp_path) as found:
        yield found


_CHILD = """
import asyncio, sys
from pathlib import Path
from tests.records.told import batch, sqlite_place

async def main():
    async with sqlite_place(Path(sys.argv[1])) as place:
        await (await place.open()).append(batch(3, draft=2))

asyncio.run(main())
"""


async def test_what_another_program_appends_is_noticed(place: SqlitePlace, tmp_path: Path) -> None:
    log = await place.open()
    await log.append(batch(3))
    waiting = asyncio.create_task(log.wait(await log.last(), within=60))
    command = [sys.executable, "-c", _CHILD, str(tmp_path)]
    await asyncio.to_thread(
        subprocess.run, command, env=environment(tmp_path, {}), cwd=ROOT, timeout=60, check=True
    )
    assert await waiting
    assert changes_in(await everything(log)) == [*batch(3), *batch(3, draft=2)]


async def test_exactly_as_many_are_kept_as_was_said(place: SqlitePlace) -> None:
    log = await place.open(keep=20)
    for draft in range(1, 6):
        await log.append(batch(7, draft=draft))
    told = await everything(log)
    assert changes_in(told) == [one for d in range(3, 6) for one in batch(7, draft=d)][-20:]


async def test_who_waits_here_is_told_at_once_of_what_is_appended_here(tmp_path: Path) -> None:
    """It would not look by itself before the test has given up."""
    log = SqliteChangeLog(SqliteFile(tmp_path / "r.sqlite3", MIGRATIONS), look_every=3600)
    waiting = asyncio.create_task(log.wait("", within=3600))
    await asyncio.sleep(0.05)
    await log.append(batch(1))
    assert await asyncio.wait_for(waiting, 10)
    await log.aclose()


@pytest.mark.parametrize(
    "harm",
    [
        "UPDATE changes SET happened = 'eaten'",
        "UPDATE changes SET fields = 'no JSON'",
        "UPDATE changes SET fields = '[]'",
    ],
)
async def test_a_damaged_change_is_told_and_not_passed_over(place: SqlitePlace, harm: str) -> None:
    log = await place.open()
    await log.append(batch(3))
    with closing(sqlite3.connect(place.path)) as other, other:
        other.execute(harm)
    with pytest.raises(StoreError, match="is damaged"):
        await log.read("", limit=10)


async def test_a_damaged_file_is_another_log(place: SqlitePlace) -> None:
    log = await place.open()
    await log.append(batch(3))
    after = await log.last()
    await log.aclose()
    place.path.write_bytes(b"no database, " * 1000)
    for beside in ("-wal", "-shm"):
        place.path.with_name(place.path.name + beside).unlink(missing_ok=True)
    log = await place.open()
    await log.append(batch(9))
    with pytest.raises(CursorGone):
        await log.read(after, limit=10)
    assert changes_in(await everything(log)) == batch(9)


async def test_a_folder_that_is_none_is_said_to_be_so(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    log = SqliteChangeLog(SqliteFile(tmp_path / "data" / "records.sqlite3", MIGRATIONS))
    for call in (log.append(batch(1)), log.read("", limit=1), log.last(), log.wait("", within=9)):
        with pytest.raises(StoreUnavailable):
            await call
    await log.aclose()

"""The file as a whole: what is in it, and a log that is no longer the one it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.backup.places import open_file
from app.records.change import CursorGone
from app.records.inventory import clear_changes, counts, rename_log
from app.records.schema import MIGRATIONS
from app.storage.sqlite_file import SqliteFile
from tests.backup.contents import fill

LATER = (*MIGRATIONS, ("ALTER TABLE jobs ADD COLUMN note TEXT",))
"""As a later version of the program has it."""


async def test_everything_is_counted(tmp_path: Path) -> None:
    async with open_file(tmp_path / "records") as file:
        assert set((await file.file.read(counts)).values()) == {0}
        await fill(file.records, file.history, file.changes, rounds=1, rows=3)
        found = await file.file.read(counts)
        assert (found["collections"], found["rows"], found["jobs"]) == (3, 8, 1)
        assert found["changes"] == len(await file.changes.read("", limit=1000)) > 0


async def test_a_log_that_is_renamed_knows_no_cursor_from_before(tmp_path: Path) -> None:
    async with open_file(tmp_path / "records") as file:
        await fill(file.records, file.history, file.changes, rounds=1, rows=3)
        cursor, kept = await file.changes.last(), await file.changes.read("", limit=1000)
        await file.file.write(rename_log)
        with pytest.raises(CursorGone):
            await file.changes.read(cursor, limit=1)
        again = await file.changes.read("", limit=1000)
        assert [one.change for one in again] == [one.change for one in kept]
        await file.file.write(clear_changes)
        assert await file.changes.read("", limit=1) == []


async def test_records_of_an_older_schema_are_brought_up_to_date_with_all_that_is_in_them(
    tmp_path: Path,
) -> None:
    async with open_file(tmp_path / "records") as file:
        await fill(file.records, file.history, file.changes)
        before = await file.file.read(counts)
    later = SqliteFile(tmp_path / "records", LATER)
    assert await later.read(counts) == before
    columns = await later.read(lambda link: link.execute("SELECT job, note FROM jobs").fetchall())
    assert columns == [("players", None)]
    await later.aclose()

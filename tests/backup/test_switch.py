"""A switch that was cut at any step is finished by whoever comes next."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.backup.switch import MAKING, READY, commit, finish, make_room
from app.containers.ledger_file import NAME as BOOKS
from app.errors import BackupError
from app.records.schema import RECORDS
from app.runtime import open_runtime
from tests.backup.place import MakePlace, Place

REALM = "test:switch"
NOBODY = "mongodb://127.0.0.1:9"


async def ready(place: MakePlace, tmp_path: Path, **note: Any) -> tuple[Place, Place]:
    """A place in which another one's file, and books, are about to be put; and that other one."""
    fresh, there = place("sqlite"), place("sqlite")
    await fresh.fill(rounds=1, rows=9)
    await there.fill(rounds=1, rows=3)
    (there.folder / BOOKS).write_text("old")
    folder = make_room(there.folder)
    (folder / RECORDS).write_bytes((fresh.folder / RECORDS).read_bytes())
    (folder / BOOKS).write_text("new")
    commit(there.folder, **{"home": None, "to_redis": False, **note})
    return there, fresh


async def test_before_the_rename_nothing_counts(place: MakePlace, tmp_path: Path) -> None:
    there = place("sqlite")
    await there.fill(rounds=1, rows=3)
    before = await there.contents()
    folder = make_room(there.folder)
    (folder / RECORDS).write_bytes(b"half of")
    assert not await finish(there.settings, REALM)
    assert await there.contents() == before
    assert make_room(there.folder) == folder
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    "done", [(), ("note",), ("note", "old log"), ("note", RECORDS), ("note", RECORDS, BOOKS)]
)
async def test_after_it_all_of_it_does(
    place: MakePlace, tmp_path: Path, done: tuple[str, ...]
) -> None:
    there, fresh = await ready(place, tmp_path)
    folder = there.folder / READY
    if "note" in done:
        (folder / "steps.json").unlink()
    if "old log" in done:
        (there.folder / f"{RECORDS}-wal").write_bytes(b"the last writes of the old file")
    for name in {RECORDS, BOOKS} & set(done):
        (folder / name).replace(there.folder / name)
    assert await finish(there.settings, REALM)
    assert await there.contents() == await fresh.contents()
    assert (there.folder / BOOKS).read_text() == "new"
    assert not folder.exists()
    assert not (there.folder / MAKING).exists()


async def test_a_gateway_that_starts_finishes_it(place: MakePlace, tmp_path: Path) -> None:
    there, _ = await ready(place, tmp_path)
    quiet = there.settings.model_copy(
        update={"sync_enabled": False, "docker_host": f"unix://{tmp_path}/no-engine.sock"}
    )
    async with open_runtime(quiet) as runtime:
        found = await runtime.archive.records.generations()
        assert [one.rows for one in found] == [8, 9, 9]


async def test_of_several_who_start_together_one_does_it(place: MakePlace, tmp_path: Path) -> None:
    there, fresh = await ready(place, tmp_path)
    done = await asyncio.gather(*(finish(there.settings, REALM) for _ in range(5)))
    assert done.count(True) >= 1
    assert await there.contents() == await fresh.contents()


async def test_a_step_that_cannot_be_taken_is_told_and_left(
    place: MakePlace, tmp_path: Path
) -> None:
    there, _ = await ready(place, tmp_path, home=1)
    elsewhere = replace(there, uri=NOBODY)
    with pytest.raises(BackupError, match=r"but for the last step \(MongoDB gave no answer"):
        await finish(elsewhere.settings, REALM)
    assert json.loads((there.folder / READY / "steps.json").read_bytes())["home"] == 1

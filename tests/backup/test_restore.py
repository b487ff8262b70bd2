"""Backups taken and put back, over every kind of store: what is asked of them is the same."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import subprocess
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from app.backup.archive_file import pack, proof_of
from app.backup.manifest import Manifest
from app.containers.ledger_file import NAME as BOOKS
from app.errors import BackupError, StoreError, StoreUnavailable
from app.records.change import CursorGone
from app.records.schema import RECORDS
from app.records.store import Generation
from app.storage.occupancy import in_use
from tests.backup.contents import BEGAN, DAY, row, run
from tests.backup.place import MakePlace, Place

mongodb = pytest.mark.real("mongodb")
redis = pytest.mark.real("redis")
KINDS = [
    "sqlite",
    pytest.param("mongodb", marks=mongodb),
    pytest.param("sqlite and redis", marks=redis),
    pytest.param("mongodb and redis", marks=[mongodb, redis]),
]
each_kind = pytest.mark.parametrize("kind", KINDS)
to_each_kind = pytest.mark.parametrize("to", KINDS)


def names(place: Place) -> set[str]:
    return {path.name for path in place.folder.iterdir()} - {"records.sqlite3-lock", "in-use.lock"}


@each_kind
@to_each_kind
async def test_what_is_put_back_is_what_was_there(
    place: MakePlace, tmp_path: Path, kind: str, to: str
) -> None:
    source, target, file = place(kind), place(to), tmp_path / "b.tar.zst"
    await source.fill()
    source.folder.mkdir(exist_ok=True)
    (source.folder / BOOKS).write_text('{"books": 1}')
    expected = await source.contents()
    manifest = await source.take(file)
    assert await source.contents() == expected
    assert manifest.counts["rows"] == sum(one.rows for one in expected.generations) == 119
    assert manifest.counts["changes"] == len(expected.changes) > 200
    assert manifest.counts["points"] == sum(map(len, expected.points.values())) > 100
    done = await target.restore(file)
    assert done.left == ()
    assert await target.contents() == expected
    assert (target.folder / BOOKS).read_text() == '{"books": 1}'
    assert names(target) <= {RECORDS, BOOKS}


@each_kind
async def test_work_goes_on_after_it_as_if_nothing_had_been(
    place: MakePlace, tmp_path: Path, kind: str
) -> None:
    source, target, file = place(kind), place(kind), tmp_path / "b.tar.zst"
    await source.fill()
    await source.take(file)
    await target.restore(file)
    async with target.open() as archive:
        before = await archive.changes.last()
        known = await archive.records.find("players", ["5"])
        base = await archive.records.generation("players")
        assert base is not None
        again = await run(archive.records, "players", [row(5, 999, BEGAN + 9 * DAY)], rows=40)
        assert again.number > base.number
        assert await archive.publish("players") == 1
        [told] = await archive.changes.read(before, limit=10)
        assert told.change.fields["meleeXP"].before == json.loads(known["5"].raw)["meleeXP"]


@each_kind
async def test_what_was_not_told_yet_is_told_after_it(
    place: MakePlace, tmp_path: Path, kind: str
) -> None:
    source, target, file = place(kind), place(kind), tmp_path / "b.tar.zst"
    await source.fill()
    async with source.open() as archive:
        for turn in (1, 2):
            rows = [row(n, 5000 + turn, BEGAN + 9 * DAY + turn) for n in range(5, 8)]
            await run(archive.records, "players", [*rows, row(900 + turn, 1, BEGAN)], rows=42)
    expected = await source.contents()
    assert len(expected.untold["players"]) == 8
    await source.take(file)
    await target.restore(file)
    assert await target.contents() == expected
    told = []
    for one in (source, target):
        async with one.open() as archive:
            assert await archive.publish("players") == 8
            changes = [told.change for told in await archive.changes.read("", limit=10_000)]
            told.append(changes)
    assert told[0] == told[1]


@each_kind
async def test_what_a_run_has_not_committed_is_not_in_it(
    place: MakePlace, tmp_path: Path, kind: str
) -> None:
    source, target, file = place(kind), place(kind), tmp_path / "b.tar.zst"
    await source.fill()
    expected = await source.contents()
    async with source.open() as archive:
        draft = await archive.records.begin("players")
        await archive.records.stage(draft, [row(n, 77_777, BEGAN + 9 * DAY) for n in range(30)])
        await source.take(file)
        made = Generation("players", draft.number, BEGAN, 40)
        await archive.records.commit(made)
    await target.restore(file)
    assert await target.contents() == expected


@each_kind
async def test_runs_that_commit_meanwhile_leave_each_collection_whole(
    place: MakePlace, tmp_path: Path, kind: str
) -> None:
    """Each run sets all rows of a collection to a value of its own."""
    source, target, file = place(kind), place(kind), tmp_path / "b.tar.zst"
    await source.fill(rows=60)
    over = asyncio.Event()

    async def run_on() -> int:
        number = 0
        async with source.open() as archive:
            while not over.is_set():
                number += 1
                rows = [row(n, 1000 + number, BEGAN + 9 * DAY + number) for n in range(60)]
                await run(archive.records, "players", rows)
                await archive.publish("players")
                await archive.records.prune("players")
                await asyncio.sleep(0.3)  # jobs are minutes apart, and a copy takes a moment
        return number

    running = asyncio.create_task(run_on())
    await source.take(file)
    over.set()
    assert await running
    await target.restore(file)
    found = await target.contents()
    values = {one.digest.partition(":")[2] for one in found.versions["players"] if not one.gone}
    assert len(values) == 1 or values == {str(2 * n) for n in range(60)}
    told = {change.draft for change in found.changes if change.kind == "players"}
    [players] = [one for one in found.generations if one.collection == "players"]
    untold = {difference.number for difference in found.untold["players"]}
    assert max(told | untold) == players.number, "neither more was told than there is, nor less"


@each_kind
async def test_records_that_are_there_are_replaced_only_when_told(
    place: MakePlace, tmp_path: Path, kind: str
) -> None:
    source, target, file = place(kind), place(kind), tmp_path / "b.tar.zst"
    await source.fill()
    await source.take(file)
    await target.fill(rounds=1, rows=7)
    before = await target.contents()
    with pytest.raises(BackupError, match="holds records already: --replace"):
        await target.restore(file)
    assert await target.contents() == before
    done = await target.restore(file, replace=True)
    expected = await source.contents()
    found = await target.contents()
    if "redis" in kind:
        # Other programs read that log: what it has told it has told.
        assert "log of changes in Redis" in done.left[0]
        assert found.changes == before.changes
    else:
        assert found.changes == expected.changes
    assert (found.generations, found.versions) == (expected.generations, expected.versions)
    assert (found.points, found.jobs) == (expected.points, expected.jobs)
    await target.restore(file, replace=True)
    assert (await target.contents()).versions == expected.versions
    if target.uri is not None:
        homes = {name.partition("records_")[0] for name in target.collections()}
        assert homes == {"", "restored2_"}, "what was replaced is gone"


async def test_cursors_from_before_are_told_to_begin_anew(place: MakePlace, tmp_path: Path) -> None:
    """The log goes on counting from where the backup was: they would mean other changes."""
    one, file = place("sqlite"), tmp_path / "b.tar.zst"
    await one.fill()
    await one.take(file)
    async with one.open() as archive:
        cursor = await archive.changes.last()
    await one.restore(file, replace=True)
    async with one.open() as archive:
        with pytest.raises(CursorGone):
            await archive.changes.read(cursor, limit=1)


async def test_a_place_in_use_is_left_alone(place: MakePlace, tmp_path: Path) -> None:
    one, file = place("sqlite"), tmp_path / "b.tar.zst"
    await one.fill()
    await one.take(file)
    with in_use(one.folder), pytest.raises(StoreUnavailable, match="in use: stop the gateway"):
        await one.restore(file, replace=True)


@pytest.mark.parametrize("at", [0.0, 0.01, 0.3, 0.6, 0.9, 0.99])
@pytest.mark.parametrize("how", ["cut", "flipped"])
async def test_a_damaged_archive_changes_nothing(
    place: MakePlace, tmp_path: Path, at: float, how: str
) -> None:
    one, file = place("sqlite"), tmp_path / "b.tar.zst"
    await one.fill()
    await one.take(file)
    expected = await one.contents()
    content = bytearray(file.read_bytes())
    where = int(at * len(content))
    if how == "cut":
        del content[where:]
    else:
        content[where] ^= 0xFF
    file.write_bytes(content)
    with pytest.raises(BackupError, match=r"damaged|no backup"):
        await one.restore(file, replace=True)
    assert await one.contents() == expected
    assert not (one.folder / "restored").exists()


def made_with(folder: Path, target: Path, content: Mapping[str, bytes], **changes: Any) -> None:
    """An archive of files with this content, whose manifest says ``changes``."""
    folder.mkdir()
    for name, text in content.items():
        (folder / name).write_bytes(text)
    told: dict[str, Any] = {
        "made_at": 1.0, "drawbridge": "9.0.0", "schema": 1, "source": "sqlite", "counts": {},
        "files": {name: proof_of(folder / name) for name in content},
    }  # fmt: skip
    pack(folder, Manifest(**(told | changes)), target)


@pytest.mark.parametrize(
    ("content", "changes", "reason"),
    [
        ({RECORDS: b""}, {"schema": 2}, "made by a newer Drawbridge .9.0.0;.* schema 2"),
        ({RECORDS: b"no database at all" * 100}, {}, "damaged: file is not a database"),
        ({BOOKS: b"{}"}, {}, "holds no records"),
        ({"settings.env": b"x"}, {}, "nobody knows here: settings.env"),
    ],
)
async def test_an_archive_that_is_none_of_ours_is_refused(
    place: MakePlace,
    tmp_path: Path,
    content: dict[str, bytes],
    changes: dict[str, Any],
    reason: str,
) -> None:
    made_with(tmp_path / "made", tmp_path / "b.tar.zst", content, **changes)
    one = place("sqlite")
    with pytest.raises(BackupError, match=reason):
        await one.restore(tmp_path / "b.tar.zst")
    assert not (one.folder / RECORDS).exists()


async def test_an_archive_with_a_newer_file_in_it_is_refused(
    place: MakePlace, tmp_path: Path
) -> None:
    """Its manifest may say what it likes."""
    path = tmp_path / "newer.sqlite3"
    with closing(sqlite3.connect(path)) as made:
        made.executescript("PRAGMA user_version = 2; CREATE TABLE t (a);")
    made_with(tmp_path / "made", tmp_path / "b.tar.zst", {RECORDS: path.read_bytes()})
    with pytest.raises(StoreUnavailable, match=r"newer Drawbridge .its schema is 2"):
        await place("sqlite").restore(tmp_path / "b.tar.zst")


async def test_a_file_that_is_not_there_is_one_clear_line(place: MakePlace, tmp_path: Path) -> None:
    with pytest.raises(BackupError, match=r"nothing\.tar\.zst: No such file"):
        await place("sqlite").restore(tmp_path / "nothing.tar.zst")


@mongodb
async def test_records_of_a_newer_program_in_mongodb_are_refused(
    place: MakePlace, tmp_path: Path
) -> None:
    one = place("mongodb")
    await one.fill(rounds=1, rows=3)
    with MongoClient[dict[str, Any]](one.uri) as client:
        client[one.database]["records_homes"].insert_one({"_id": "000000", "schema": 2})
    for refused in (one.contents(), one.take(tmp_path / "b.tar.zst")):
        with pytest.raises(StoreError, match=r"newer Drawbridge .schema 2, this program knows 1"):
            await refused


async def test_an_archive_opens_without_us_and_holds_no_secret(
    place: MakePlace, tmp_path: Path
) -> None:
    one, file = place("sqlite"), tmp_path / "b.tar.zst"
    await one.fill()
    await one.take(file)
    command = ["tar", "--zstd", "-tvf", str(file)]
    listed = await asyncio.to_thread(subprocess.check_output, command, text=True)
    assert [line.split()[-1] for line in listed.splitlines()] == ["manifest.json", RECORDS]
    assert file.stat().st_mode & 0o077 == 0
    assert os.environ.get("USER", "root") not in listed.replace("0/0", "")

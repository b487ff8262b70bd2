"""What a backup is taken of, and when none is."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from app.errors import BackupError, StoreUnavailable
from app.storage.occupancy import alone_in
from tests.backup.place import MakePlace


async def test_it_tells_how_far_it_is_and_what_it_took(place: MakePlace, tmp_path: Path) -> None:
    one, seen = place("sqlite"), list[str]()
    await one.fill(rounds=1, rows=3)
    manifest = await one.take(tmp_path / "b", lambda what, _: seen.append(what))
    assert seen == ["records", "archive"]
    assert (manifest.source, manifest.counts["jobs"]) == ("sqlite", 1)


@pytest.mark.real("mongodb")
async def test_out_of_mongodb_it_tells_of_each_collection(place: MakePlace, tmp_path: Path) -> None:
    one, seen = place("mongodb"), list[str]()
    await one.fill(rounds=1, rows=3)
    manifest = await one.take(tmp_path / "b", lambda what, _: seen.append(what))
    assert list(dict.fromkeys(seen)) == [
        "clans", "items", "players", "history", "changes", "archive",
    ]  # fmt: skip
    assert manifest.source == "mongodb"


async def test_where_there_is_nothing_none_is_made(place: MakePlace, tmp_path: Path) -> None:
    one = place("sqlite")
    with pytest.raises(BackupError, match="nothing to back up"):
        await one.take(tmp_path / "b")
    assert not (one.folder / "records.sqlite3").exists()
    elsewhere = replace(one, uri="mongodb://127.0.0.1:9")
    with pytest.raises(StoreUnavailable, match="MongoDB gave no answer"):
        await elsewhere.take(tmp_path / "b")
    assert {name for name in os.listdir(tmp_path) if "b" in name} == set()


async def test_none_is_taken_while_one_is_put_back(place: MakePlace, tmp_path: Path) -> None:
    one = place("sqlite")
    await one.fill(rounds=1, rows=3)
    with alone_in(one.folder), pytest.raises(StoreUnavailable, match="is being put back"):
        await one.take(tmp_path / "b")

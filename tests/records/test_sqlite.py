"""The record store's own tables: many rows, a file that is shared, and one that is damaged."""

# ruff: noqa: ASYNC240 (a test may wait for its disk)
from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from app.errors import StoreError, StoreUnavailable
from app.records import sqlite
from app.records.schema import MIGRATIONS
from app.records.sqlite import SqliteRecords
from app.records.store import Generation
from app.storage.sqlite_file import SqliteFile
from tests.records.engines import Wall, pages, version


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "records.sqlite3"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqliteRecords]:
    made = SqliteRecords(SqliteFile(path, MIGRATIONS, timeout=60.0), wall=Wall())
    yield made
    await made.aclose()


async def test_a_hundred_thousand_rows(store: SqliteRecords) -> None:
    rows = [version(str(number), "old") for number in range(100_000)]
    for text, part in (("old", rows), ("new", rows[::100])):
        draft = await store.begin("players")
        for page in pages([version(row.id, text) for row in part], 5_000):
            await store.stage(draft, page)
        await store.commit(Generation("players", draft.number, 1.0, len(rows)))
    found = await store.find("players", [str(number) for number in range(50, 1_050)])
    assert len(found) == 1_000
    assert [row.id for row in found.values() if row.digest.endswith("new")] == [
        "100", "1000", "200", "300", "400", "500", "600", "700", "800", "900",
    ]  # fmt: skip
    seen, after = 0, None
    while page := await store.scan("players", after=after, limit=5_000):
        seen, after = seen + len(page), page[-1].id
    assert seen == 100_000
    await store.mark_published("players", draft.number)
    assert await store.prune("players") == 1_000


async def test_versions_of_one_row_are_pruned_across_sweeps(
    store: SqliteRecords, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "_SWEEP", 3)
    for text in "abcde":
        draft = await store.begin("players")
        await store.stage(draft, [version(str(number), text) for number in range(4)])
        await store.commit(Generation("players", draft.number, 1.0, 4))
    await store.mark_published("players", draft.number)
    while await store.prune("players"):
        pass
    assert await store.scan("players", after=None, limit=9) == [
        version(str(number), "e") for number in range(4)
    ]
    assert await store.prune("players") == 0


async def test_a_file_may_be_shared(store: SqliteRecords, path: Path) -> None:
    file = SqliteFile(path, MIGRATIONS)
    one, other = SqliteRecords(file, wall=Wall()), SqliteRecords(file.share(), wall=Wall())
    drafts = await asyncio.gather(one.begin("a"), other.begin("a"), one.begin("b"))
    assert len({draft.number for draft in drafts}) == 2
    await one.aclose()
    with pytest.raises(StoreUnavailable, match="closed"):
        await one.ping()
    await other.ping()
    await other.aclose()


async def test_a_damaged_file_is_started_anew(store: SqliteRecords, path: Path) -> None:
    path.write_bytes(b"certainly no database " * 500)
    with capture_logs() as logs:
        assert await store.generations() == []
    assert [line["log_level"] for line in logs] == ["warning"]
    await store.begin("players")


async def test_a_row_that_cannot_be_written_down_leaves_the_draft_as_it_was(
    store: SqliteRecords,
) -> None:
    draft = await store.begin("players")
    with pytest.raises(StoreError) as refused:
        await store.stage(draft, [version("1"), version("2", digest="\ud800")])
    assert not isinstance(refused.value, StoreUnavailable)
    await store.stage(draft, [version("3")])
    await store.commit(Generation("players", draft.number, 1.0, 1))
    assert await store.scan("players", after=None, limit=9) == [version("3")]


async def test_what_counts_is_found_through_the_index(store: SqliteRecords, path: Path) -> None:
    await store.ping()
    wanted = {"kind": "k", "ids": '["1"]', "after": "1", "limit": 5}
    with closing(sqlite3.connect(path)) as other:
        for which in (sqlite._AMONG, sqlite._BEHIND):
            query = sqlite._NEWEST.format(which=which, counts="draft <= 5 AND draft <> 3")
            plan = other.execute(f"EXPLAIN QUERY PLAN {query}", wanted).fetchall()
            steps = [step[3] for step in plan if "versions" in step[3] or step[3][:8] == "SEARCH v"]
            assert len(steps) == 2
            assert all("sqlite_autoindex_versions_1 (kind=? AND id" in step for step in steps)
            assert "COVERING" in steps[0]

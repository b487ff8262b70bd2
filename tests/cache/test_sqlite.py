"""The SQLite store's own table; what every store on a file promises is in ``tests/storage``."""

# ruff: noqa: ASYNC240 (a test may wait for its disk)
from __future__ import annotations

import asyncio
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from app.cache.sqlite import SqliteStore
from app.cache.store import StoreStats
from app.errors import StoreError, StoreUnavailable
from tests.cache.conftest import make_entry

NOON = 1_750_000_000.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "responses.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(path, timeout=20.0, clock=lambda: NOON)
    yield store
    await store.aclose()


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


async def test_answers_are_found_by_age(store: SqliteStore, path: Path) -> None:
    await store.ping()
    plan = "EXPLAIN QUERY PLAN DELETE FROM responses WHERE stored_at < 1"
    with closing(sqlite3.connect(path)) as other:
        assert "responses_by_age" in other.execute(plan).fetchone()[3]


async def test_an_answer_that_cannot_be_stored_is_refused(store: SqliteStore) -> None:
    with pytest.raises(StoreError) as refused:
        await store.put(make_entry(target="\ud800"))
    assert not isinstance(refused.value, StoreUnavailable)
    await store.put(make_entry())
    assert await store.stats() == StoreStats(1, len(make_entry().body))


async def test_a_damaged_file_is_started_anew(store: SqliteStore, path: Path) -> None:
    path.write_bytes(b"certainly no database " * 500)
    with capture_logs() as logs:
        await store.put(make_entry())
    assert await store.get("k") == make_entry()
    assert [line["moved_to"] for line in logs] == [f"{path}.corrupt-20250615T150640Z"]

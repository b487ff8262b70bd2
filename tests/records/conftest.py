"""What the tests of records share: each engine that keeps them, empty."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.records.store import RecordStore
from tests.real.mongodb import MongoServer, mongo_database, mongo_server
from tests.records.engines import Engine, MongoEngine, SqliteEngine

__all__ = ["engine", "mongo_database", "mongo_server", "store"]


@pytest.fixture(params=["sqlite", pytest.param("mongodb", marks=pytest.mark.real("mongodb"))])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Engine:
    """Each engine, empty."""
    if request.param == "sqlite":
        return SqliteEngine(tmp_path)
    server: MongoServer = request.getfixturevalue("mongo_server")
    return MongoEngine(server, request.getfixturevalue("mongo_database"))


@pytest.fixture
async def store(engine: Engine) -> AsyncIterator[RecordStore]:
    """A store over ``engine``."""
    made = engine.open()
    yield made
    await made.aclose()

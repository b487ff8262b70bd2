"""Real stores for backups."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.backup.place import MakePlace, Place
from tests.real.mongodb import collect_what_the_driver_left, mongo_server
from tests.real.redis import redis_process, redis_server

__all__ = ["mongo_server", "redis_process", "redis_server"]


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MakePlace]:
    """Makes places of a kind, each with a folder and databases of its own."""
    made: list[Place] = []

    def make(kind: str) -> Place:
        server = request.getfixturevalue("mongo_server") if "mongodb" in kind else None
        redis = request.getfixturevalue("redis_server") if "redis" in kind else None
        if server is not None:
            server.start()
        made.append(
            Place(
                tmp_path / f"place-{len(made)}",
                uri=None if server is None else server.uri,
                redis=None if redis is None else redis.url,
            )
        )
        return made[-1]

    yield make
    for one in made:
        one.forget()
    collect_what_the_driver_left()

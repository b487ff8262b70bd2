"""What lives in a container that sleeps is woken by a question for a history."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.containers.event_log import EventLog
from tests.containers.fault_stage import Database, gateway_here, log
from tests.real.engine import Workshop

__all__ = ["log"]
pytestmark = pytest.mark.real("docker")


async def test_a_history_that_sleeps_is_woken(
    workshop: Workshop, log: EventLog, tmp_path: Path
) -> None:
    database = Database(workshop)
    settings = {
        "mongodb_uri": database.settings["MONGODB_URI"],
        "mongodb_database": database.settings["MONGODB_DATABASE"],
        "mongodb_timeout": "30s",
    }
    async with gateway_here(tmp_path, workshop, **settings) as client:
        assert not log.actions(database.id, "start")
        answer = await client.get("/v1/history/players/1")
        # Nothing was ever written there; to know that, somebody had to look.
        assert (answer.status_code, answer.json()["title"]) == (404, "Nothing is remembered")
        assert log.actions(database.id, "start") == ["start"]

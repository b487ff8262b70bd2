"""The whole story on real parts: engine, database in a container, sandbox and gateway processes.

A sleeping database is woken by the first questions, put back to sleep, and woken again when the
upstream is gone; a question asked while it is being stopped is answered all the same.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Sequence
from pathlib import Path

import httpx
import pymongo
import pytest

from tests.processes import Drawbridge, drawbridge
from tests.real.engine import Workshop
from tests.real.require import find_binary, unavailable
from tests.waiting import until

pytestmark = [pytest.mark.real("docker"), pytest.mark.real("mongodb"), pytest.mark.timeout(240)]

QUESTIONS = [
    *(f"/actions/{number}" for number in (1, 2, 3, 500, 501, 502, 1500, 1501)),
    *(f"/clan-tiers/{number}" for number in (1, 2, 3)),
    *(f"/quests/{number}" for number in range(1, 7)),
    "/clan-tiers",
    "/avatars",
    "/xp-threshold-rewards",
]
"""Twenty questions whose answers do not change."""
KEPT_BACK = QUESTIONS[:5]
IDLE_SECONDS = 2
THREE_SECONDS_TO_DIE = (
    "trap '/bin/sleep 3; exit 0' TERM; "
    "/bin/ferretdb --handler=sqlite --sqlite-url=file:/tmp/ --listen-addr=:27017 "
    "--state-dir=/tmp --telemetry=disable --debug-addr=- --log-level=WARN & "
    "while :; do /bin/sleep 0.1; done"
)


class Database:
    """A MongoDB-protocol server in a container that takes three seconds to die."""

    def __init__(self, workshop: Workshop) -> None:
        self.port = _free_port()
        self.uri = f"mongodb://127.0.0.1:{self.port}"
        self._workshop = workshop
        self.id = workshop.container(
            "kingdom-db",
            image=_image(workshop),
            command=["/bin/sh", "-c", THREE_SECONDS_TO_DIE],
            labels={"provides": "mongodb", "idle-timeout": f"{IDLE_SECONDS}s"},
            port_bindings={27017: ("127.0.0.1", self.port)},
        )

    @property
    def state(self) -> str:
        return self._workshop.state(self.id)

    def happened(self, action: str) -> int:
        """How often, by the engine's own record."""
        return self._workshop.count(action, self.id)

    def targets(self) -> set[str]:
        """The questions whose answers are in it."""
        with pymongo.MongoClient[dict[str, object]](self.uri) as client:
            rows = client["kingdom"]["responses"].find({}, {"target": 1})
            return {str(row["target"]) for row in rows}


@pytest.fixture
def database(workshop: Workshop) -> Database:
    return Database(workshop)


def settings(workshop: Workshop, database: Database, upstream: str) -> dict[str, str]:
    return {
        "ESTFOR_API_URL": upstream,
        "MONGODB_URI": database.uri,
        "MONGODB_DATABASE": "kingdom",
        "DOCKER_HOST": workshop.run.host,
        "CONTAINER_SCOPE": workshop.case,
        "CONTAINER_CHECK_INTERVAL": "250ms",
        "UPSTREAM_TIMEOUT": "20s",
    }


async def test_the_story(tmp_path: Path, workshop: Workshop, database: Database) -> None:
    with drawbridge(tmp_path / "kingdom", "sandbox", "--port", "0", "--players", "300") as sandbox:
        upstream = sandbox.url()
        true_answers = await ask(upstream, QUESTIONS)
        gateway_settings = settings(workshop, database, upstream)

        with drawbridge(tmp_path / "a", "serve", "--port", "0", settings=gateway_settings) as first:
            await the_first_questions_wake_it_once(first, upstream, database, true_answers)
            await it_is_put_to_sleep(database, starts=1)
            assert first.stop() == 0
        sandbox.kill()

        with drawbridge(tmp_path / "a", "serve", "--port", "0", settings=gateway_settings) as again:
            await the_database_knows_what_the_dead_upstream_said(again, database, true_answers)
            await a_question_during_a_slow_stop_is_answered(again, database, true_answers)
            assert again.stop() == 0
    assert database.state == "running"


async def the_first_questions_wake_it_once(
    gateway: Drawbridge, upstream: str, database: Database, true_answers: dict[str, bytes]
) -> None:
    assert database.state == "created"
    before = await counts(upstream)
    answers = await ask(gateway.url(), QUESTIONS * 10)
    assert answers == true_answers
    assert await counts(upstream) == before + len(QUESTIONS)
    await until(lambda: database.state == "running", what="the database is woken")
    wanted = {f"GET {path}" for path in QUESTIONS}
    await until(lambda: database.targets() == wanted, what="the answers are written")
    assert database.happened("start") == 1


async def it_is_put_to_sleep(database: Database, starts: int) -> None:
    await until(lambda: database.state == "exited", within=30, what="it is put to sleep")
    await asyncio.sleep(0.6)  # two more looks of the idle monitor
    assert (database.happened("start"), database.happened("die")) == (starts, starts)
    assert database.happened("stop") == starts


async def the_database_knows_what_the_dead_upstream_said(
    gateway: Drawbridge, database: Database, true_answers: dict[str, bytes]
) -> None:
    asked = [path for path in QUESTIONS if path not in KEPT_BACK]
    answers = await ask(gateway.url(), asked * 5)
    assert answers == {path: true_answers[path] for path in asked}
    assert database.happened("start") == 2


async def a_question_during_a_slow_stop_is_answered(
    gateway: Drawbridge, database: Database, true_answers: dict[str, bytes]
) -> None:
    kills = database.happened("kill")
    await until(lambda: database.happened("kill") > kills, what="the stop has begun")
    assert database.state == "running"
    began = time.monotonic()
    assert await ask(gateway.url(), KEPT_BACK) == {path: true_answers[path] for path in KEPT_BACK}
    assert database.happened("die") == 2, f"answered by a dying server: {time.monotonic() - began}"
    assert database.happened("start") == 3
    assert database.state == "running"


async def ask(base: str, paths: Sequence[str]) -> dict[str, bytes]:
    """Ask all at once; every answer must be a 200, and the same for the same question."""
    answers: dict[str, bytes] = {}
    limits = httpx.Limits(max_connections=len(paths))
    async with httpx.AsyncClient(base_url=base, timeout=60, limits=limits) as client:
        responses = await asyncio.gather(*(client.get(path) for path in paths))
    for path, response in zip(paths, responses, strict=True):
        assert response.status_code == 200, (path, response.status_code, response.text)
        assert answers.setdefault(path, response.content) == response.content
    return answers


async def counts(upstream: str) -> int:
    """How many questions have reached the kingdom."""
    async with httpx.AsyncClient(base_url=upstream) as client:
        return int((await client.get("/__sandbox__/counts")).json()["total"])


def _image(workshop: Workshop) -> str:
    server = find_binary("ferretdb")
    if server is None:
        unavailable("mongodb", "there is no ferretdb to make an image of")
    files = {"/bin/ferretdb": server, "/bin/sh": "/bin/sh", "/bin/sleep": "/bin/sleep"}
    return workshop.run.image_from_files("ferretdb", files, expose=[27017])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

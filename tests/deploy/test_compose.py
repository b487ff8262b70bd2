"""docker-compose.yml, really brought up: with stand-ins for its images and asked a question."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from app.config import Settings
from tests.deploy.docker_cli import ROOT, compose_command, docker, free_port, run, wait_until
from tests.deploy.standins import server_image
from tests.real.require import find_binary, unavailable

COMPOSE_FILE = ROOT / "docker-compose.yml"
QUESTION = "/items?numToFetch=5"
COUNT_ANSWERS = """
import pymongo
database = pymongo.MongoClient("mongodb://mongodb:27017", serverSelectionTimeoutMS=5000)["estfor"]
print(sum(database[name].count_documents({}) for name in database.list_collection_names()))
"""


@dataclass(frozen=True)
class Stack:
    """The project, up: where to ask, and its compose command."""

    project: str
    gateway: str
    sandbox: str
    compose: Callable[..., str]


def binary(name: str, what: str) -> str:
    return find_binary(name) or unavailable(what, f"there is no {name}")


@pytest.fixture(scope="module")
def images(run_id: str, gateway_image: str) -> Iterator[dict[str, str]]:
    """Names of images, as the variables of the compose file that choose them."""
    ferretdb = binary("ferretdb", "MongoDB")
    files = ("--handler=sqlite", "--sqlite-url=file:/data/db/", "--state-dir=/data/db")
    mongodb = server_image(
        f"drawbridge-test/mongodb:{run_id}",
        [ferretdb],
        [ferretdb, *files, "--listen-addr=:27017", "--telemetry=disable"],
        folders=["data/db"],
    )
    redis = server_image(
        f"drawbridge-test/redis:{run_id}",
        [binary("redis-server", "Redis"), binary("redis-cli", "Redis")],
        ["redis-server"],
        folders=["data"],
    )
    yield {"GATEWAY_IMAGE": gateway_image, "MONGODB_IMAGE": mongodb, "REDIS_IMAGE": redis}
    docker("rmi", "--force", mongodb, redis)


@pytest.fixture(scope="module")
def stack(images: dict[str, str], run_id: str) -> Iterator[Stack]:
    project = run_id.replace("-", "")
    ports = {"GATEWAY_PORT": str(free_port()), "SANDBOX_PORT": str(free_port())}
    group = str(Path("/var/run/docker.sock").stat().st_gid)
    environment = {**images, **ports, "DOCKER_GID": group, "TEST_RUN": run_id}
    files = ("--file", str(COMPOSE_FILE), "--file", str(ROOT / "tests/deploy/compose.sandbox.yml"))
    command = (*compose_command(), "--project-name", project, *files)

    def compose(*arguments: str) -> str:
        return run(*command, *arguments, timeout=180, env=environment)

    try:
        compose("up", "--detach", "--no-build")
        yield Stack(
            project,
            f"http://127.0.0.1:{ports['GATEWAY_PORT']}",
            f"http://127.0.0.1:{ports['SANDBOX_PORT']}",
            compose,
        )
    finally:
        compose("down", "--volumes", "--remove-orphans")


def answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).status_code == 200
    except httpx.TransportError:
        return False


def wait_for(stack: Stack) -> None:
    for url in (f"{stack.gateway}/health/live", f"{stack.sandbox}{QUESTION}"):
        wait_until(f"an answer from {url}", lambda url=url: answers(url))  # type: ignore[misc]


@pytest.mark.real("docker")
@pytest.mark.timeout(900)
class TestUp:
    """The stack, asked; the last test takes it down."""

    def test_a_kingdom_question_is_answered_as_the_upstream_does(self, stack: Stack) -> None:
        wait_for(stack)
        answer = httpx.get(stack.gateway + QUESTION, timeout=30)
        assert answer.status_code == 200, stack.compose("logs", "--no-color")
        assert answer.content == httpx.get(stack.sandbox + QUESTION, timeout=30).content
        assert len(answer.json()["items"]) == 5

    def test_the_answer_is_remembered_in_mongodb(
        self, stack: Stack, images: dict[str, str], run_id: str
    ) -> None:
        def is_stored() -> bool:
            told = docker(
                *("run", "--rm", "--label", f"drawbridge.test={run_id}", "--entrypoint", "python3"),
                *("--network", f"{stack.project}_back"),
                *(images["GATEWAY_IMAGE"], "-c", COUNT_ANSWERS),
            )
            return int(told.splitlines()[-1]) > 0

        wait_until("the answer is in the database", is_stored)

    def test_without_the_upstream_it_is_answered_from_there(self, stack: Stack) -> None:
        before = httpx.get(stack.gateway + QUESTION, timeout=30).content
        stack.compose("stop", "sandbox")
        stack.compose("restart", "gateway")
        wait_until("the gateway is back", lambda: answers(f"{stack.gateway}/health/live"))
        wait_until("the same answer", lambda: answers(stack.gateway + QUESTION))
        assert httpx.get(stack.gateway + QUESTION, timeout=30).content == before

    def test_the_labelled_containers_are_under_automation(self, stack: Stack) -> None:
        told = httpx.get(f"{stack.gateway}/health/containers", timeout=10).text
        assert '"mongodb"' in told, told
        assert '"redis"' in told, told

    def test_redis_is_healthy(self, stack: Stack) -> None:
        container = stack.compose("ps", "--quiet", "redis").splitlines()[-1]
        wait_until(
            "redis is healthy",
            lambda: (
                docker("inspect", "--format", "{{.State.Health.Status}}", container) == "healthy"
            ),
        )

    def test_down_leaves_nothing_behind(self, stack: Stack) -> None:
        stack.compose("down", "--volumes", "--remove-orphans")
        mine = ("--quiet", "--filter", f"label=com.docker.compose.project={stack.project}")
        assert docker("ps", "--all", *mine) == ""
        assert docker("network", "ls", *mine) == ""
        assert docker("volume", "ls", *mine) == ""


def test_every_setting_reaches_the_gateway() -> None:
    text = COMPOSE_FILE.read_text(encoding="utf-8")
    passed = set(re.findall(r"^      ([A-Z_]+):", text, re.MULTILINE))
    # The file would have to be mounted too: whoever does that adds the variable with it.
    assert passed == {name.upper() for name in Settings.model_fields} - {"CONTAINERS_FILE"}


def test_the_gateway_is_published_to_this_machine_only_unless_asked() -> None:
    assert "${GATEWAY_BIND:-127.0.0.1}:" in COMPOSE_FILE.read_text(encoding="utf-8")


@pytest.mark.real("docker")
def test_the_file_is_valid_as_it_stands() -> None:
    assert os.environ.get("GATEWAY_IMAGE") is None
    told = run(*compose_command(), "--file", str(COMPOSE_FILE), "config")
    for image in ("drawbridge:latest", "mongo:7", "redis:7-alpine"):
        assert image in told

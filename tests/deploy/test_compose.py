"""docker-compose.yml, really brought up by ``make up``: with stand-ins for its images."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import yaml

from app.config import Settings
from tests.deploy.docker_cli import ROOT, compose_command, docker, run
from tests.deploy.stacks import Stack, StandIns, sandbox, services_of

COMPOSE_FILE = ROOT / "docker-compose.yml"
PROFILES = "logging,tracing"
QUESTION = "/items?numToFetch=5"
COUNT_ANSWERS = """
import pymongo
database = pymongo.MongoClient("mongodb://mongodb:27017", serverSelectionTimeoutMS=5000)["estfor"]
print(sum(database[name].count_documents({}) for name in database.list_collection_names()))
"""
NEVER_ASLEEP = {"gateway", "sandbox"}


@dataclass(frozen=True)
class Development(Stack):
    """The project of ``make up``."""

    make: Callable[..., str]


@pytest.fixture(scope="module")
def stack(
    standing_in: StandIns, run_id: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Development]:
    project = run_id.replace("-", "") + "dev"
    services = services_of(COMPOSE_FILE, PROFILES)
    changes = standing_in.override(services, project, run_id)
    # As it is in the official image.
    changes["redis"]["command"] = [*services["redis"]["command"], "--protected-mode", "no"]
    # What is counted in the database is answers.
    changes["gateway"]["environment"]["SYNC_ENABLED"] = "false"
    changes["sandbox"] = sandbox(standing_in.gateway, run_id, ["front"])
    override = tmp_path_factory.mktemp("compose") / "override.yml"
    override.write_text(yaml.safe_dump({"services": changes}), encoding="utf-8")
    environment = {
        # Whichever the engine chooses.
        "GATEWAY_PORT": "0",
        "COMPOSE_FILE": f"{COMPOSE_FILE}:{override}",
        "COMPOSE_PROJECT_NAME": project,
        "DOCKER_GID": str(Path("/var/run/docker.sock").stat().st_gid),
    }

    def make(*arguments: str) -> str:
        return run("make", *arguments, timeout=240, env=environment)

    def compose(*arguments: str) -> str:
        profiles = {"COMPOSE_PROFILES": PROFILES}
        return run(*compose_command(), *arguments, timeout=240, env={**environment, **profiles})

    try:
        make("up", "BUILD=--no-build", f"PROFILES={PROFILES}")
        compose("start", "sandbox")
        yield Development(project, compose, make)
    finally:
        compose("stop", "gateway")
        compose("down", "--volumes", "--remove-orphans")


def answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).status_code == 200
    except httpx.TransportError:
        return False


def states(stack: Development, *services: str) -> Mapping[str, str]:
    return {service: stack.state(service) for service in services}


@pytest.mark.real("docker")
@pytest.mark.timeout(900)
class TestUp:
    """The stack, asked; the last test takes it down."""

    def test_only_the_gateway_runs(self, stack: Development) -> None:
        stack.wait("the gateway", lambda: answers(f"{stack.gateway}/health/live"))
        stack.wait("the sandbox", lambda: answers(stack.upstream + QUESTION))
        asleep = services_of(COMPOSE_FILE, PROFILES).keys() - NEVER_ASLEEP
        assert set(states(stack, *asleep).values()) == {"created"}, states(stack, *asleep)

    def test_it_runs_the_code_of_the_checkout_and_watches_it(self, stack: Development) -> None:
        where = docker(
            *("exec", stack.container("gateway"), "python3", "-c"),
            "import app; print(app.__file__)",
        )
        assert where == "/src/app/__init__.py"
        assert "--reload" in docker("inspect", stack.container("gateway"))

    def test_everything_that_may_sleep_is_under_automation(self, stack: Development) -> None:
        asleep = services_of(COMPOSE_FILE, PROFILES).keys() - NEVER_ASLEEP
        known = httpx.get(f"{stack.gateway}/health/containers", timeout=10).json()
        assert {one["name"] for one in known["containers"]} == asleep, known

    def test_no_label_is_misread(self, stack: Development) -> None:
        assert "drawbridge." not in docker("logs", stack.container("gateway"))

    def test_a_kingdom_question_is_answered_as_the_upstream_does(self, stack: Development) -> None:
        answer = httpx.get(stack.gateway + QUESTION, timeout=30)
        assert answer.status_code == 200, stack.logs()
        assert answer.content == httpx.get(stack.upstream + QUESTION, timeout=30).content
        assert len(answer.json()["items"]) == 5

    def test_the_answer_is_remembered_in_mongodb_which_was_woken_for_it(
        self, stack: Development, standing_in: StandIns, run_id: str
    ) -> None:
        def is_stored() -> bool:
            told = docker(
                *("run", "--rm", "--label", f"drawbridge.test={run_id}", "--entrypoint", "python3"),
                *("--network", f"{stack.project}_back"),
                *(standing_in.gateway, "-c", COUNT_ANSWERS),
            )
            return int(told.splitlines()[-1]) > 0

        stack.wait("mongodb is up", lambda: stack.state("mongodb") == "running")
        stack.wait("the answer is in the database", is_stored)

    def test_without_the_upstream_it_is_answered_from_there(self, stack: Development) -> None:
        before = httpx.get(stack.gateway + QUESTION, timeout=30).content
        stack.compose("stop", "sandbox")
        stack.compose("restart", "gateway")
        stack.wait("the gateway is back", lambda: answers(f"{stack.gateway}/health/live"))
        stack.wait("the same answer", lambda: answers(stack.gateway + QUESTION))
        assert httpx.get(stack.gateway + QUESTION, timeout=30).content == before

    @pytest.mark.parametrize(
        ("page", "woken"),
        [
            ("grafana", ("prometheus", "alertmanager", "cadvisor")),
            ("kibana", ("elasticsearch", "logstash", "filebeat")),
            ("jaeger", ("otel-collector",)),
        ],
    )
    def test_a_visit_wakes_what_is_visited_and_what_it_needs(
        self, stack: Development, page: str, woken: tuple[str, ...]
    ) -> None:
        stack.wait("a visit", lambda: answers(f"{stack.gateway}/{page}/"))
        shown = httpx.get(f"{stack.gateway}/{page}/there", timeout=30).text
        assert shown == f"{page} /{page}/there"
        assert set(states(stack, page, *woken).values()) == {"running"}, stack.logs()

    def test_what_nobody_needs_is_put_to_sleep(self, stack: Development) -> None:
        docker("exec", stack.container("gateway"), "drawbridge", "containers", "sleep", "kibana")
        assert stack.state("kibana") == "exited"

    def test_redis_is_healthy(self, stack: Development) -> None:
        # The first look is an interval after the start: it is made here, as the engine makes it.
        check = services_of(COMPOSE_FILE)["redis"]["healthcheck"]["test"]
        assert docker("exec", stack.container("redis"), *check[1:]) == "PONG"

    def test_down_leaves_nothing_behind(self, stack: Development) -> None:
        stack.make("down")
        assert stack.left() == ""


@pytest.mark.parametrize("name", ["docker-compose.yml", "docker-compose.prod.yml"])
def test_every_setting_reaches_the_gateway(name: str, tmp_path: Path) -> None:
    environment = services_of(ROOT / name, secrets=tmp_path)["gateway"]["environment"]
    passed = {one.removesuffix("_FILE") for one in environment if one != "CONTAINERS_FILE"}
    # The file would have to be mounted too: whoever does that adds the variable with it.
    wanted = {one.upper().removesuffix("_FILE") for one in Settings.model_fields} - {"CONTAINERS"}
    if name == "docker-compose.prod.yml":
        # Nobody there reads what became of jobs with Celery's own tools.
        wanted -= {"CELERY_RESULT_BACKEND"}
    assert wanted - passed == set()
    assert passed - wanted <= {"PYTHONPATH", "OTEL_EXPORTER_OTLP_ENDPOINT"}


def test_the_gateway_is_published_to_this_machine_only_unless_asked() -> None:
    assert "${GATEWAY_BIND:-127.0.0.1}:" in COMPOSE_FILE.read_text(encoding="utf-8")
    ports = {
        name: service["ports"]
        for name, service in services_of(COMPOSE_FILE, PROFILES).items()
        if "ports" in service
    }
    assert ports.keys() == {"gateway"}


def test_versions_are_written_in_one_place() -> None:
    base = yaml.safe_load((ROOT / "docker-compose.base.yml").read_text(encoding="utf-8"))
    images = {name: service["image"] for name, service in base["services"].items()}
    assert all(
        re.search(r":v?[0-9]+\.[0-9]+\.[0-9]+|GATEWAY_IMAGE", one) for one in images.values()
    )
    repositories = {image.rpartition(":")[0] for image in images.values()} - {"${GATEWAY_IMAGE"}
    named = re.compile(
        "|".join(rf"{re.escape(one)}:v?[0-9]{{1,3}}(?![0-9])" for one in repositories)
    )
    tracked = run("git", "ls-files", "--cached", "--others", "--exclude-standard").splitlines()
    elsewhere = [
        path
        for path in tracked
        if path != "docker-compose.base.yml"
        and (ROOT / path).is_file()
        and named.search((ROOT / path).read_bytes().decode(errors="replace"))
    ]
    assert elsewhere == []
    for name in ("docker-compose.yml", "docker-compose.prod.yml"):
        assert "image:" not in (ROOT / name).read_text(encoding="utf-8")

"""examples/external-mongodb, tried: two compose projects, and ours wakes the other's MongoDB."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.deploy.docker_cli import (
    ROOT,
    CommandFailed,
    compose_command,
    docker,
    run,
)
from tests.deploy.stacks import Stack, StandIns, sandbox, services_of

EXAMPLE = ROOT / "examples" / "external-mongodb"
QUESTION = "/items?numToFetch=5"


@dataclass(frozen=True)
class Projects:
    """Ours, and that of the others, whose files know nothing of us."""

    ours: Stack
    others: Stack

    def drawbridge(self, *arguments: str) -> str:
        return docker("exec", self.ours.container("gateway"), "drawbridge", *arguments)

    def view(self, name: str) -> dict[str, Any]:
        told = httpx.get(f"{self.ours.gateway}/health/containers", timeout=10).json()
        return next((one for one in told["containers"] if one["name"] == name), {})


def others_file(standing_in: StandIns, run_id: str) -> dict[str, Any]:
    labels = {"drawbridge.test": run_id}
    shop = {"image": standing_in.gateway, "entrypoint": ["sleep", "infinity"], "labels": labels}
    bystander = {"image": standing_in.images["redis"], "labels": labels}
    mongo = {"image": standing_in.images["mongodb"], "labels": labels}
    return {"services": {"mongo": mongo, "shop": shop, "bystander": bystander}}


@pytest.fixture(scope="module")
def projects(
    standing_in: StandIns, run_id: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Projects]:
    ours, others = (run_id.replace("-", "") + name for name in ("own", "elephant"))
    folder = tmp_path_factory.mktemp("external")
    file = folder / "elephant.yml"
    file.write_text(yaml.safe_dump(others_file(standing_in, run_id)), encoding="utf-8")

    services = services_of(ROOT / "docker-compose.yml")
    changes = standing_in.override({"gateway": services["gateway"]}, ours, run_id)
    # The scope of our other tests would hide the others' project.
    changes["gateway"]["environment"] |= {
        "CONTAINER_SCOPE": f"drawbridge.test={run_id}",
        "CONTAINER_CHECK_INTERVAL": "1s",
        "SYNC_ENABLED": "false",
        "REDIS_URL": "",
        "CELERY_BROKER_URL": "",
    }
    changes["sandbox"] = sandbox(standing_in.gateway, run_id, ["front"])
    override = folder / "override.yml"
    override.write_text(yaml.safe_dump({"services": changes}), encoding="utf-8")
    # The example as it is, but for the name of the others' project, which has to be this run's.
    specs = folder / "containers.toml"
    text = (EXAMPLE / "containers.toml").read_text(encoding="utf-8")
    specs.write_text(text.replace('"elephant-mongo"', f'"{others}"'), encoding="utf-8")
    specs.chmod(0o644)
    environment = {
        "GATEWAY_PORT": "0",
        "COMPOSE_FILE": f"{ROOT}/docker-compose.yml:{EXAMPLE}/docker-compose.yml:{override}",
        "COMPOSE_PROJECT_NAME": ours,
        "CONTAINERS_FILE": str(specs),
        "ELEPHANT_NETWORK": f"{others}_default",
        "DOCKER_GID": str(Path("/var/run/docker.sock").stat().st_gid),
    }

    def our_compose(*arguments: str) -> str:
        return run(*compose_command(), *arguments, timeout=240, env=environment)

    def others_compose(*arguments: str) -> str:
        command = (*compose_command(), "--project-name", others, "--file", str(file))
        return run(*command, *arguments, timeout=240)

    try:
        others_compose("up", "--detach")
        others_compose("stop", "mongo", "shop")
        our_compose("up", "--detach", "--no-build", "gateway", "sandbox")
        yield Projects(Stack(ours, our_compose), Stack(others, others_compose))
    finally:
        our_compose("stop", "gateway")
        our_compose("down", "--volumes", "--remove-orphans")
        others_compose("down", "--volumes", "--remove-orphans")


def answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).status_code == 200
    except httpx.TransportError:
        return False


def fails(call: Callable[[], str]) -> bool:
    try:
        call()
    except CommandFailed:
        return True
    return False


@pytest.mark.real("docker")
@pytest.mark.timeout(600)
class TestExternal:
    """In the order of a day."""

    def test_a_question_wakes_it(self, projects: Projects) -> None:
        ours, others = projects.ours, projects.others
        assert others.state("mongo") == "exited"
        ours.wait("an answer", lambda: answers(ours.gateway + QUESTION))
        ours.wait("mongodb is awake", lambda: projects.view("mongodb").get("state") == "awake")
        assert others.state("mongo") == "running"

    def test_while_a_program_of_the_others_runs_it_stays_up(self, projects: Projects) -> None:
        projects.others.compose("start", "shop")
        projects.ours.wait("shop is seen", lambda: projects.view("shop").get("state") == "awake")
        assert fails(lambda: projects.drawbridge("containers", "sleep", "mongodb"))
        assert projects.others.state("mongo") == "running"

    def test_the_program_itself_is_never_put_to_sleep(self, projects: Projects) -> None:
        assert fails(lambda: projects.drawbridge("containers", "sleep", "shop"))
        assert projects.others.state("shop") == "running"

    def test_when_nobody_needs_it_it_may_sleep(self, projects: Projects) -> None:
        projects.others.compose("stop", "--timeout", "1", "shop")
        projects.ours.wait(
            "mongodb sleeps",
            # Vetoes are measured between two looks, and hold for a while.
            lambda: (
                not fails(lambda: projects.drawbridge("containers", "sleep", "mongodb"))
                and projects.others.state("mongo") == "exited"
            ),
            150,
        )

    def test_nothing_else_of_theirs_is_touched(self, projects: Projects) -> None:
        assert projects.others.state("bystander") == "running"
        assert projects.view("bystander") == {}

    def test_our_own_is_not_made(self, projects: Projects) -> None:
        assert projects.ours.containers("mongodb") == []

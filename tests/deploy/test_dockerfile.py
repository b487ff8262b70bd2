"""The Dockerfile, really built: who it runs as, whether it is healthy, how it ends."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.deploy.docker_cli import CommandFailed, docker, wait_until

pytestmark = [pytest.mark.real("docker"), pytest.mark.timeout(900)]


def inspect(what: str) -> Any:
    return json.loads(docker("inspect", what))[0]


@pytest.fixture(scope="module")
def gateway(gateway_image: str, run_id: str) -> Iterator[str]:
    """A running gateway as the image starts it, with an upstream that nobody answers for."""
    container = docker(
        *("run", "--detach", "--label", f"drawbridge.test={run_id}"),
        *("--publish", "127.0.0.1::8000", "--env", "ESTFOR_API_URL=http://127.0.0.1:9"),
        *("--read-only", "--mount", "type=tmpfs,target=/tmp", "--cap-drop", "ALL"),
        gateway_image,
    )
    yield container
    docker("rm", "--force", "--volumes", container)


def health(container: str) -> str:
    state = inspect(container)["State"]
    assert state["Running"], docker("logs", container)
    return str(state["Health"]["Status"])


def test_becomes_healthy_and_answers_on_its_port(gateway: str) -> None:
    wait_until("the container is healthy", lambda: health(gateway) == "healthy")
    [address] = docker("port", gateway, "8000/tcp").splitlines()
    assert httpx.get(f"http://{address}/health/live", timeout=10).status_code == 200


def test_runs_as_nobody_in_particular(gateway: str, gateway_image: str) -> None:
    assert inspect(gateway_image)["Config"]["User"] == "10001:10001"
    assert docker("exec", gateway, "id", "-u") == "10001"


def test_writes_to_its_volume_and_nowhere_else(gateway: str) -> None:
    docker("exec", gateway, "touch", "/data/it-can")
    for place in ("/opt/drawbridge/no", "/no"):
        with pytest.raises(CommandFailed):
            docker("exec", gateway, "touch", place)


def test_carries_nothing_that_builds(gateway: str) -> None:
    listed = docker("exec", gateway, "ls", "/opt/drawbridge/bin").split()
    assert "drawbridge" in listed
    assert not {name for name in listed if name.startswith("pip")}
    with pytest.raises(CommandFailed):
        docker("exec", gateway, "python3", "-c", "import hatchling")


def test_the_healthcheck_fails_when_nobody_answers(gateway_image: str, run_id: str) -> None:
    command = inspect(gateway_image)["Config"]["Healthcheck"]["Test"][1:]
    with pytest.raises(CommandFailed, match="refused"):
        docker(
            *("run", "--rm", "--label", f"drawbridge.test={run_id}"),
            *("--entrypoint", command[0], gateway_image, *command[1:]),
        )


def test_a_stop_is_a_clean_end(gateway: str) -> None:
    docker("stop", "--time", "20", gateway)
    assert inspect(gateway)["State"]["ExitCode"] == 0, docker("logs", gateway)

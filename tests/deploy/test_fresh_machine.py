"""A stranger's first minute: a clean clone on a Debian with Python and make, and `make demo`."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import Any

import docker as docker_sdk
import httpx
import pytest

from tests.deploy.docker_cli import docker, free_port, wait_until
from tests.deploy.standins import clean_clone, debian_image

pytestmark = [pytest.mark.real("docker"), pytest.mark.timeout(900)]

# What runs beside the shell itself when make has ended.
SCRIPT = """
cd /src && make demo PORT={port}; code=$?
for process in /proc/[0-9]*; do echo "left: $(readlink $process/exe)"; done
exit $code
"""


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def machine(run_id: str, port: int) -> Iterator[str]:
    """A container with a clean clone in it, about to run ``make demo`` on a terminal."""
    container = docker(
        *("create", "--tty", "--interactive", "--network", "host"),
        *("--label", f"drawbridge.test={run_id}"),
        *(debian_image(), "bash", "-c", SCRIPT.format(port=port)),
    )
    with clean_clone() as clone:
        docker("cp", "-", f"{container}:/", stdin=clone)
    yield container
    docker("rm", "--force", container)


def is_running(container: str) -> bool:
    return docker("inspect", "--format", "{{.State.Running}}", container) == "true"


def press_ctrl_c(container: str) -> None:
    with contextlib.closing(docker_sdk.DockerClient()) as client:
        # The SDK's types call it a byte stream; over a Unix socket it is a SocketIO.
        attached: Any = client.api.attach_socket(container, params={"stdin": 1, "stream": 1})
        with contextlib.closing(attached._response), contextlib.closing(attached._sock):
            attached._sock.sendall(b"\x03")


def test_make_demo_serves_a_kingdom_until_ctrl_c(machine: str, port: int) -> None:
    docker("start", machine)

    def is_up() -> bool:
        assert is_running(machine), docker("logs", machine)
        return f"http://127.0.0.1:{port}/docs" in docker("logs", machine)

    wait_until("it says what to try", is_up, seconds=400)
    suggested = re.findall(r"curl -si '([^']+)'", docker("logs", machine))
    assert len(suggested) == 5, docker("logs", machine)
    for url in suggested:
        answer = httpx.get(url, timeout=30)
        assert answer.status_code == 200, url
        assert any(answer.json().values()), url

    press_ctrl_c(machine)
    wait_until("make has ended", lambda: not is_running(machine), seconds=30)
    told = docker("logs", machine)
    assert docker("inspect", "--format", "{{.State.ExitCode}}", machine) == "0", told
    left = re.findall(r"left: (\S+)", told)
    assert [name for name in left if "python" in name or name.endswith("/make")] == []
    assert left, "the list of what is left was not printed"

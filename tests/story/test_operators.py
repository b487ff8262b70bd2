"""An operator at the command line, a gateway and a container: all of them real."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.processes import Drawbridge, command, drawbridge, environment
from tests.real.engine import Workshop
from tests.waiting import until

pytestmark = pytest.mark.real("docker")


@pytest.fixture
def gateway(tmp_path: Path, workshop: Workshop) -> Iterator[Drawbridge]:
    settings = {
        "ESTFOR_API_URL": "http://127.0.0.1:9",
        "DOCKER_HOST": workshop.run.host,
        "CONTAINER_SCOPE": workshop.case,
    }
    with drawbridge(tmp_path, "serve", "--port", "0", settings=settings) as running:
        running.url()
        yield running


def containers(
    gateway: Drawbridge, folder: Path, *arguments: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command("containers", *arguments, "--gateway", gateway.url()),
        env=environment(folder, {}),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def state(gateway: Drawbridge, name: str) -> str:
    listed = httpx.get(f"{gateway.url()}/health/containers").json()["containers"]
    return next((str(one["state"]) for one in listed if one["name"] == name), "unknown")


async def test_wake_list_and_sleep(tmp_path: Path, workshop: Workshop, gateway: Drawbridge) -> None:
    made = workshop.container("cellar", labels={"provides": "redis"})
    await until(lambda: state(gateway, "cellar") == "asleep", what="the gateway sees it")

    woken = containers(gateway, tmp_path, "wake", "cellar")
    assert (woken.returncode, woken.stdout) == (0, "cellar is awake\n"), woken.stderr
    assert workshop.state(made) == "running"

    (listed,) = json.loads(containers(gateway, tmp_path, "list", "--json").stdout)
    assert (listed["name"], listed["state"], listed["provides"]) == ("cellar", "awake", ["redis"])
    table = containers(gateway, tmp_path, "list").stdout
    assert "cellar" in table
    assert "awake" in table

    metrics = httpx.get(f"{gateway.url()}/metrics").text
    assert 'drawbridge_container_state{name="cellar",state="awake"} 1.0' in metrics
    assert 'drawbridge_container_wakes_total{name="cellar",outcome="ready"} 1.0' in metrics

    slept = containers(gateway, tmp_path, "sleep", "cellar")
    assert (slept.returncode, slept.stdout) == (0, "cellar is asleep\n"), slept.stderr
    assert workshop.state(made) == "exited"


async def test_a_name_that_nobody_has_is_refused_with_the_nearest(
    tmp_path: Path, workshop: Workshop, gateway: Drawbridge
) -> None:
    workshop.container("cellar")
    await until(lambda: state(gateway, "cellar") == "asleep", what="the gateway sees it")
    refused = containers(gateway, tmp_path, "wake", "celler")
    assert refused.returncode == 1
    assert "did you mean cellar?" in refused.stderr


async def test_watch_shows_what_happens_until_ctrl_c(
    tmp_path: Path, workshop: Workshop, gateway: Drawbridge
) -> None:
    made = workshop.container("cellar")
    await until(lambda: state(gateway, "cellar") == "asleep", what="the gateway sees it")
    seen = tmp_path / "seen"
    with seen.open("wb") as output:
        watching = subprocess.Popen(
            command("containers", "watch", "--gateway", gateway.url()),
            env={**environment(tmp_path, {}), "PYTHONUNBUFFERED": "1"},
            cwd=tmp_path,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        await until(lambda: "cellar: asleep" in seen.read_text(), what="the state at first")
        workshop.api.start(made)  # by somebody else's hand
        await until(lambda: "cellar: awake" in seen.read_text(), what="the change")
    finally:
        watching.send_signal(signal.SIGINT)
        watching.wait(20)
    assert watching.returncode == 130
    assert "Traceback" not in seen.read_text()


async def test_the_gateways_end_leaves_containers_as_they_are(
    workshop: Workshop, gateway: Drawbridge
) -> None:
    made = workshop.container("cellar")
    workshop.api.start(made)
    await until(lambda: state(gateway, "cellar") == "awake", what="it is adopted")
    assert gateway.stop() == 0
    assert workshop.state(made) == "running"

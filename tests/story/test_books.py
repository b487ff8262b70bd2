"""The books through a crash, the page for monitors, and who did what: the whole program."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.processes import Drawbridge, command, drawbridge, environment
from tests.real.engine import Workshop
from tests.story.test_operators import containers, state
from tests.waiting import until

pytestmark = pytest.mark.real("docker")

KEY = "open sesame"
DIGEST = sha256(KEY.encode()).hexdigest()


def settings_of(workshop: Workshop, **more: str) -> dict[str, str]:
    return {
        "ESTFOR_API_URL": "http://127.0.0.1:9",
        "DOCKER_HOST": workshop.run.host,
        "CONTAINER_SCOPE": workshop.case,
        "CONTAINER_CHECK_INTERVAL": "50ms",
        **more,
    }


@contextmanager
def gateway_of(folder: Path, workshop: Workshop, **more: str) -> Iterator[Drawbridge]:
    with drawbridge(
        folder, "serve", "--port", "0", settings=settings_of(workshop, **more)
    ) as running:
        running.url()
        yield running


def report(gateway: Drawbridge, name: str = "cellar") -> dict[str, Any]:
    told = httpx.get(f"{gateway.url()}/automation/report").json()
    found: dict[str, Any] = next(one for one in told["containers"] if one["name"] == name)
    return found


async def test_a_crash_loses_little_and_the_gap_is_told(tmp_path: Path, workshop: Workshop) -> None:
    workshop.container("cellar")
    with gateway_of(tmp_path, workshop) as first:
        await until(lambda: state(first, "cellar") == "asleep", what="the gateway sees it")
        assert containers(first, tmp_path, "wake", "cellar").returncode == 0
        assert first.stop() == 0  # in good order: everything is written
    with gateway_of(tmp_path, workshop) as second:
        await until(lambda: state(second, "cellar") == "awake", what="it is adopted")
        before = report(second)
        assert before["woken_for"] == {"operator on loopback": 1, "found running": 1}
        second.kill()
        killed = time.time()
    with gateway_of(tmp_path, workshop) as third:
        back = time.time()
        await until(lambda: state(third, "cellar") == "awake", what="it is adopted again")
        after = report(third)
        # What the second did not write is not guessed: it is unknown, together with the gap.
        assert after["unknown_seconds"] >= before["unknown_seconds"] + back - killed
        assert after["awake_seconds"] <= before["awake_seconds"] + time.time() - back
        assert after["wakes"]["ready"] >= 2
        shown = containers(third, tmp_path, "report")
        assert shown.returncode == 0, shown.stderr
        assert "cellar" in shown.stdout
        assert "│ all " in shown.stdout
        assert "unknown" in shown.stdout
        as_json = json.loads(containers(third, tmp_path, "report", "--json").stdout)
        assert as_json["containers"][0]["since"] == before["since"]


async def test_a_monitor_is_told_asleep_and_keeps_nobody_up(
    tmp_path: Path, workshop: Workshop
) -> None:
    # Long enough for a command on a busy machine to end before it sleeps again.
    made = workshop.container("cellar", labels={"idle-timeout": "5s"})
    with gateway_of(tmp_path, workshop) as gateway:
        url = f"{gateway.url()}/health/containers/cellar"
        await until(lambda: state(gateway, "cellar") == "asleep", what="the gateway sees it")
        asleep = httpx.get(url)
        assert (asleep.status_code, asleep.json()["status"]) == (200, "asleep")
        assert httpx.head(url).status_code == 200
        assert workshop.count("start", made) == 0, "asking wakes nobody"
        assert containers(gateway, tmp_path, "wake", "cellar").returncode == 0
        seen = []

        def is_asleep() -> bool:
            seen.append(httpx.get(url).json()["status"])
            return workshop.state(made) == "exited"

        await until(is_asleep, what="it falls asleep although it is asked without a pause")
        assert set(seen) == {"ok", "asleep"}
        assert workshop.count("start", made) == 1
        unknown = httpx.get(f"{gateway.url()}/health/containers/celler")
        assert unknown.status_code == 404
        assert "did you mean cellar?" in unknown.json()["detail"]
        workshop.api.remove_container(made)
        await until(lambda: httpx.get(url).status_code == 503)
        assert httpx.get(url).json()["status"] == "missing"


async def test_a_monitor_is_told_when_one_does_not_come_up(
    tmp_path: Path, workshop: Workshop
) -> None:
    workshop.container("broken", command=["/bin/sh", "-c", "exit 3"])
    with gateway_of(tmp_path, workshop) as gateway:
        url = f"{gateway.url()}/health/containers/broken"
        await until(lambda: state(gateway, "broken") == "asleep", what="the gateway sees it")
        assert containers(gateway, tmp_path, "wake", "broken").returncode == 1
        failed = httpx.get(url)
        assert (failed.status_code, failed.json()["status"]) == (503, "failed")
        assert "code 3" in failed.json()["error"]


async def test_everything_says_which_operator_it_was_and_never_the_key(
    tmp_path: Path, workshop: Workshop
) -> None:
    workshop.container("cellar")
    seen = tmp_path / "seen"
    with gateway_of(tmp_path, workshop, ADMIN_API_KEYS=DIGEST) as gateway:
        await until(lambda: state(gateway, "cellar") == "asleep", what="the gateway sees it")
        refused = containers(gateway, tmp_path, "report")
        assert refused.returncode == 1
        assert "401" in refused.stderr
        with watching(gateway, tmp_path, seen):
            await until(lambda: "cellar: asleep" in seen.read_text(), what="the state at first")
            for act in ("wake", "sleep"):
                assert (
                    containers(gateway, tmp_path, act, "cellar", "--api-key", KEY).returncode == 0
                )
            who = f"operator {DIGEST[:8]}"
            await until(lambda: f"cellar: awake ({who})" in seen.read_text())
            await until(lambda: f"cellar: asleep ({who})" in seen.read_text())
        headers = {"x-api-key": KEY}
        told = httpx.get(f"{gateway.url()}/automation/report", headers=headers).json()
        assert told["containers"][0]["woken_for"] == {who: 1}
        assert told["containers"][0]["sleeps"] == {"operator": 1}
        metrics = httpx.get(f"{gateway.url()}/metrics").text
        assert 'drawbridge_container_sleeps_total{name="cellar",reason="operator"} 1.0' in metrics
        assert gateway.stop() == 0
        for told_to_all in (gateway.log, seen.read_text()):
            assert KEY not in told_to_all
            assert DIGEST not in told_to_all


@contextmanager
def watching(gateway: Drawbridge, folder: Path, seen: Path) -> Iterator[None]:
    """``containers watch`` as a process, writing to ``seen``."""
    with seen.open("wb") as output:
        process = subprocess.Popen(
            command("containers", "watch", "--gateway", gateway.url(), "--api-key", KEY),
            env={**environment(folder, {}), "PYTHONUNBUFFERED": "1"},
            cwd=folder,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(20)

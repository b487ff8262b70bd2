"""The clients for Locust: they run, and they notice when nobody answers."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.load.running import ROOT, WITHIN, environment, need
from tests.processes import drawbridge
from tests.real.require import find_binary
from tests.real.server import free_port


def locust(host: str) -> subprocess.CompletedProcess[str]:
    need("locust")
    command = [find_binary("locust") or "", "--locustfile", str(ROOT / "locustfile.py")]
    command += ["--headless", "--only-summary", "--host", host]
    command += ["--users", "10", "--spawn-rate", "10", "--run-time", "4s"]
    return subprocess.run(
        command,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=WITHIN,
    )


def test_every_kind_of_client_is_answered(tmp_path: Path) -> None:
    with drawbridge(tmp_path / "sandbox", "sandbox", "--port", "0") as sandbox:
        settings = {"ESTFOR_API_URL": sandbox.url(), "CONTAINER_AUTO_START": "false"}
        with drawbridge(tmp_path / "gateway", "serve", "--port", "0", settings=settings) as gateway:
            done = locust(gateway.url())
    assert done.returncode == 0, done.stdout + done.stderr
    for name in ("/players/{id}", "/players?name", "/orders", "/players?orderBy", "/clan-members"):
        assert f" {name} " in done.stderr + done.stdout, name


def test_a_gateway_without_answers_is_noticed(tmp_path: Path) -> None:
    settings = {
        "ESTFOR_API_URL": f"http://127.0.0.1:{free_port()}",
        "CONTAINER_AUTO_START": "false",
    }
    with drawbridge(tmp_path / "gateway", "serve", "--port", "0", settings=settings) as gateway:
        done = locust(gateway.url())
    assert done.returncode == 1, done.stdout + done.stderr
    assert "status 502" in done.stdout + done.stderr

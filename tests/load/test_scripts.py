"""Every script for k6, in its short form, on a real gateway; and on gateways that are no good.

Figures are not looked at: the thresholds do that, and in the short form they are far.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.running import NotInstalled, program
from k6.__main__ import SCENARIOS
from tests.load.running import BROKEN, load_test, need, report_in
from tests.processes import drawbridge
from tests.real.engine import find_engine
from tests.real.require import unavailable
from tests.real.server import free_port


@pytest.fixture(autouse=True)
def installed() -> None:
    need("k6")
    try:
        program("taskset")
    except NotInstalled as reason:
        unavailable("taskset", str(reason))


@pytest.fixture
def hopeless(tmp_path: Path) -> Iterator[str]:
    """The address of a gateway that knows nothing, on an upstream that is not there."""
    settings = {
        "ESTFOR_API_URL": f"http://127.0.0.1:{free_port()}",
        "DOCKER_HOST": f"unix://{tmp_path}/no-engine.sock",
    }
    with drawbridge(tmp_path / "gateway", "serve", "--port", "0", settings=settings) as running:
        yield running.url()


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_script_holds_on_a_good_gateway(name: str, tmp_path: Path) -> None:
    if name == "cold_start":
        need("ferretdb")
        find_engine().api.close()
    done = load_test(name, reports=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    found = report_in(tmp_path)
    assert found["ok"] is True
    assert len(found["thresholds"]) >= 3
    assert found["metrics"]["http_reqs"]["values"]["count"] > 5
    assert f"{name}: every threshold held" in done.stdout
    assert "level=error" not in done.stderr
    [page] = tmp_path.glob("*.html")
    text = page.read_text(encoding="utf-8")
    assert f"<h1>{name}: every threshold held</h1>" in text
    assert not re.search(r"\b(src|href)=|@import|url\(", text)


@pytest.mark.parametrize("name", ["smoke", "load", "stress", "soak"])
def test_a_script_fails_on_a_gateway_without_answers(
    name: str, hopeless: str, tmp_path: Path
) -> None:
    reports = tmp_path / "reports"
    done = load_test(name, reports=reports, BASE_URL=hopeless)
    assert done.returncode == BROKEN, done.stdout + done.stderr
    found = report_in(reports)
    assert found["ok"] is False
    assert any("checks" in one["metric"] for one in found["thresholds"] if not one["ok"])
    assert "BROKEN" in done.stdout


def test_a_fault_that_nobody_met_is_no_success(tmp_path: Path) -> None:
    """With the usual fresh times nothing gets old in so short a time."""
    with drawbridge(tmp_path / "sandbox", "sandbox", "--port", "0") as sandbox:
        settings = {"ESTFOR_API_URL": sandbox.url(), "CONTAINER_AUTO_START": "false"}
        with drawbridge(tmp_path / "gateway", "serve", "--port", "0", settings=settings) as gateway:
            done = load_test(
                "fault",
                reports=tmp_path / "reports",
                BASE_URL=gateway.url(),
                SANDBOX_URL=sandbox.url(),
            )
    assert done.returncode == BROKEN, done.stdout + done.stderr
    broken = [
        one["metric"] for one in report_in(tmp_path / "reports")["thresholds"] if not one["ok"]
    ]
    # On a machine that has much to do, checks of how soon an answer came may fail besides.
    assert "known_and_old{scenario:during}" in broken


@pytest.mark.parametrize(
    ("name", "wishes", "told"),
    [
        ("cold_start", {"CONTAINER": "nobody"}, "has no container nobody"),
        ("fault", {}, "SANDBOX_URL: set it to an address"),
        ("load", {"DURATION": "soon"}, "DURATION: soon is not written 30s, 10m or 2h"),
        ("load", {"VUS": "many"}, "VUS: many is not a number"),
    ],
)
def test_what_cannot_be_done_is_told(
    name: str, wishes: dict[str, str], told: str, hopeless: str, tmp_path: Path
) -> None:
    done = load_test(name, reports=tmp_path / "reports", BASE_URL=hopeless, **wishes)
    assert done.returncode not in (0, BROKEN)
    assert told in done.stdout + done.stderr

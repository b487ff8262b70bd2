"""``drawbridge sync``: as a process on a kingdom, with and without a gateway beside it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from app.cli_sync import status_row
from tests.processes import command, drawbridge, environment

NOW = 1_800_000_000.0


def sync(folder: Path, upstream: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    folder.mkdir(exist_ok=True)
    settings = {"ESTFOR_API_URL": upstream, "SYNC_PACE": "0s"}
    return subprocess.run(
        command("sync", *arguments),
        env=environment(folder, settings),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_jobs_are_run_and_told_of(tmp_path: Path) -> None:
    with drawbridge(tmp_path / "s", "sandbox", "--port", "0", "--players", "100") as sandbox:
        first = sync(tmp_path / "g", sandbox.url(), "run", "definitions", "clans")
        assert first.returncode == 0, first.stderr
        lines = first.stdout.splitlines()
        assert [line.partition(":")[0] for line in lines] == ["definitions", "clans"]
        assert "rows/s" in lines[0]
        again = sync(tmp_path / "g", sandbox.url(), "run", "definitions", "--json")
        [state] = json.loads(again.stdout)
        assert (state["job"], state["changed"], state["error"]) == ("definitions", 0, None)


def test_what_went_wrong_is_told_and_counts(tmp_path: Path) -> None:
    failed = sync(tmp_path / "g", "http://127.0.0.1:9", "run", "clans")
    assert failed.returncode == 1
    assert "clans: clans: " in failed.stdout


def test_an_unknown_job_is_wrong_usage(tmp_path: Path) -> None:
    wrong = sync(tmp_path / "g", "http://127.0.0.1:9", "run", "clan")
    assert wrong.returncode == 2
    assert "definitions" in wrong.stderr


def test_the_gateways_jobs_are_shown(tmp_path: Path) -> None:
    with (
        drawbridge(tmp_path / "s", "sandbox", "--port", "0", "--players", "100") as sandbox,
        drawbridge(
            tmp_path / "g",
            "serve",
            "--port",
            "0",
            settings={
                "ESTFOR_API_URL": sandbox.url(),
                "SYNC_PACE": "0s",
                "SYNC_ENABLED": "true",
                "DOCKER_HOST": f"unix://{tmp_path}/no-engine.sock",
            },
        ) as gateway,
    ):
        at = ("status", "--gateway", gateway.url())
        shown = sync(tmp_path / "c", sandbox.url(), *at)
        assert shown.returncode == 0, shown.stderr
        assert "definitions" in shown.stdout
        told = json.loads(sync(tmp_path / "c", sandbox.url(), *at, "--json").stdout)
        assert told["jobs"][0]["job"] == "definitions"


@pytest.mark.parametrize(
    ("changes", "row"),
    [
        ({}, ["clans", "never", "now", "0", "0", "0", "", ""]),
        (
            {
                "last_good": "2027-01-15T07:55:00+00:00",
                "next": "2027-01-15T08:02:30+00:00",
                "seconds": 1.5,
                "rows": 175,
                "changed": 3,
                "failures": 2,
                "error": "no",
            },
            ["clans", "5m 00s ago", "in 2m 30s", "1.5 s", "175", "3", "2", "no"],
        ),
    ],
)
def test_a_row_of_the_status_is_in_words_for_people(
    changes: dict[str, object], row: list[str]
) -> None:
    told: dict[str, object] = {
        "job": "clans", "last_good": None, "next": "2027-01-15T08:00:00+00:00", "seconds": 0.0,
        "rows": 0, "changed": 0, "failures": 0, "error": None,
    }  # fmt: skip
    assert status_row({**told, **changes}, NOW) == row

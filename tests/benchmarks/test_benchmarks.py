"""Every benchmark runs, in a tiny form, on the real program and its real peers.

What it finds is not looked at here: figures are for people, who can see what else the machine did.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.__main__ import BENCHMARKS
from benchmarks.running import NotInstalled, program
from tests.real.engine import find_engine
from tests.real.require import find_binary, unavailable

ROOT = Path(__file__).parents[2]
NEEDS = {
    "hits": ("taskset", "wrk", "nginx"),
    "misses": ("taskset",),
    "memory": ("taskset",),
    "containers": ("taskset",),
}


@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_benchmark_prints_a_table_and_writes_what_it_found(name: str, tmp_path: Path) -> None:
    need(*NEEDS.get(name, ()))
    if name == "containers":
        need_containers()
    done = bench(name, "--tiny", "--results", str(tmp_path))
    assert done.returncode == 0, done.stderr
    [file] = tmp_path.glob(f"*-{name}.json")
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    assert found["name"] == name
    assert found["machine"]["cores"] >= 1
    assert found["rows"]
    assert all(figure is not None for row in found["rows"] for figure in row.values())
    assert all(bar["asked"] and bar["measured"] for bar in found["bars"])
    for heading in found["rows"][0]:
        assert heading in done.stdout
    assert str(file) in done.stdout


def test_an_unknown_benchmark_is_refused_with_those_that_there_are() -> None:
    done = bench("speed")
    assert done.returncode == 2
    assert all(name in done.stderr for name in BENCHMARKS)


def need(*names: str) -> None:
    for name in names:
        try:
            program(name)
        except NotInstalled as reason:
            unavailable(name, str(reason))


def need_containers() -> None:
    find_engine().api.close()
    for server in ("redis-server", "ferretdb"):
        if find_binary(server) is None:
            unavailable(server, "there is none to make an image of")


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )

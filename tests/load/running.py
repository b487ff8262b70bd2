"""Running load tests as people do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.real.require import TOOLS, find_binary, unavailable

ROOT = Path(__file__).parents[2]
BROKEN = 99
"""What k6 ends with if a threshold did not hold."""
WITHIN = 110.0


def load_test(*arguments: str, reports: Path, **wishes: str) -> subprocess.CompletedProcess[str]:
    """``python -m k6 ARGUMENTS`` in its short form, told ``wishes`` by its environment."""
    command = [sys.executable, "-m", "k6", *arguments, "--short", "--reports", str(reports)]
    return subprocess.run(
        command,
        cwd=ROOT,
        env=environment(**wishes),
        capture_output=True,
        text=True,
        check=False,
        timeout=WITHIN,
    )


def environment(**wishes: str) -> dict[str, str]:
    """Nothing of whoever runs the tests but where programs and the engine are."""
    kept = {name: os.environ[name] for name in ("HOME", "DOCKER_HOST") if name in os.environ}
    return {**kept, "PATH": f"{TOOLS}{os.pathsep}{os.environ['PATH']}", **wishes}


def report_in(folder: Path) -> dict[str, Any]:
    """What the one report in ``folder`` says."""
    [file] = folder.glob("*.json")
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found


def need(*programs: str) -> None:
    """Skip the test unless these are installed."""
    for name in programs:
        if find_binary(name) is None:
            unavailable(name, "scripts/install_real_servers gets it")

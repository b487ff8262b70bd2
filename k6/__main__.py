"""``make load``: run load tests, against a gateway of our own or the one at ``BASE_URL``.

``python -m k6 [SCENARIO…] [--short] [--reports FOLDER]``; without a name, those that take a few
minutes. The scripts read further wishes (``DURATION``, ``VUS`` …) from the environment.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.running import ROOT, NotInstalled, on_load_core, program
from k6.stage import stage

SCENARIOS = ("smoke", "load", "stress", "soak", "cold_start", "fault")
USUAL = ("smoke", "load", "fault")
NAMES = (*SCENARIOS, "all")
REPORTS = Path(__file__).parent / "reports"
SHORT = {"DURATION": "3s", "VUS": "2", "PACE": "0.05", "RATE": "50", "SLACK": "20"}
"""Only to see that it works: figures of so little mean nothing."""
SHORT_OF: Mapping[str, Mapping[str, str]] = {"fault": {"DURATION": "9s"}}
"""It is three things, one after the other."""
_QUIET = {"K6_NO_USAGE_REPORT": "true", "K6_BINARY_PROVISIONING": "false"}
"""k6 is to talk to the gateway and to nobody else."""


def main(arguments: Sequence[str]) -> int:
    """Run what ``arguments`` name, all of it; the exit code of the first that failed, else 0.

    k6 ends with 99 if a threshold did not hold.
    """
    asked = _parser().parse_args(arguments)
    names = dict.fromkeys(asked.names or USUAL)
    if "all" in names:
        names = dict.fromkeys(SCENARIOS)
    codes = []
    for name in names:
        try:
            codes.append(run(name, asked.reports, short=asked.short))
        except NotInstalled as error:
            sys.exit(f"{name}: {error}")
    return next((code for code in codes if code), 0)


def run(name: str, reports: Path, *, short: bool) -> int:
    """Run one scenario, and leave its report in ``reports``; k6's exit code."""
    reports.mkdir(parents=True, exist_ok=True)
    report = reports.resolve() / f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{name}"
    wishes = {**SHORT, **SHORT_OF.get(name, {})} if short else {}
    k6 = program("k6")
    with (
        tempfile.TemporaryDirectory(prefix="drawbridge-load-") as folder,
        stage(name, Path(folder)) as told,
    ):
        done = subprocess.run(
            # Without an address k6 opens no server of its own.
            [*on_load_core(), k6, "run", "--quiet", "--address", "", f"{name}.js"],
            cwd=ROOT / "k6",
            env={**wishes, **os.environ, **_QUIET, **told, "REPORT": str(report)},
            stdin=subprocess.DEVNULL,
            check=False,
        )
    print(f"{name}: {report}.html")
    return done.returncode


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="k6", description="Load tests.")
    parser.add_argument("names", nargs="*", type=_name, metavar="SCENARIO", help=", ".join(NAMES))
    parser.add_argument("--short", action="store_true", help="only see that it works")
    parser.add_argument("--reports", type=Path, default=REPORTS, metavar="FOLDER")
    return parser


def _name(text: str) -> str:
    if text not in NAMES:
        raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(NAMES)}")
    return text


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

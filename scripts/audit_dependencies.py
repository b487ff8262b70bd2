"""Ask the advisory service about the pinned versions: ``audit_dependencies.py PINS.txt``.

Exit code 1 when a pinned version has a known vulnerability, 0 when none has. Where the service
cannot be asked (a mirror without advisories, no network), nothing is known: that is said aloud
and is no failure, so that work can go on. ``pip-audit`` alone passes over it in silence or stops.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Audit:
    """What came of asking: the findings, a line each, and how many versions were judged."""

    findings: tuple[str, ...]
    judged: int
    skipped: int


def read_report(text: str) -> Audit:
    """Read the JSON of ``pip-audit``. Raises ``ValueError`` when it is none."""
    report = json.loads(text)
    if not isinstance(report, dict) or "dependencies" not in report:
        raise ValueError("not a report of pip-audit")
    dependencies = report["dependencies"]
    skipped = [one for one in dependencies if "skip_reason" in one]
    findings = [
        f"{one['name']} {one['version']}: {found['id']}, mended in "
        + (", ".join(found["fix_versions"]) or "no version yet")
        for one in dependencies
        for found in one.get("vulns", ())
    ]
    return Audit(tuple(findings), len(dependencies) - len(skipped), len(skipped))


def audit(pins: Path, pip_audit: Sequence[str]) -> int:
    """Run ``pip_audit`` over ``pins``, say what it found, and return the exit code."""
    command = [*pip_audit, "--requirement", str(pins), "--require-hashes", "--disable-pip"]
    command += ["--format", "json", "--progress-spinner", "off"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    try:
        result = read_report(done.stdout)
    except ValueError:
        print(done.stderr.strip()[-2000:], file=sys.stderr)
        print(f"WARNING: {pins} WAS NOT AUDITED: no answer from the advisory service")
        return 0
    for finding in result.findings:
        print(f"VULNERABLE: {finding}")
    if result.skipped:
        print(f"WARNING: NOT AUDITED, {result.skipped} of the versions in {pins}: no advisories")
    print(f"{pins}: {result.judged} versions audited, {len(result.findings)} findings")
    return 1 if result.findings else 0


if __name__ == "__main__":
    sys.exit(audit(Path(sys.argv[1]), [sys.executable, "-m", "pip_audit"]))

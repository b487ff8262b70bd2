from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from audit_dependencies import Audit, audit, read_report

SOUND = {"name": "sound", "version": "1.0", "vulns": []}
UNKNOWN = {"name": "unknown", "skip_reason": "not found"}
HOLED = {
    "name": "holed",
    "version": "2.0",
    "vulns": [{"id": "PYSEC-1", "fix_versions": ["2.1", "3.0"]}, {"id": "X", "fix_versions": []}],
}


def report(*dependencies: dict[str, Any]) -> str:
    return json.dumps({"dependencies": dependencies, "fixes": []})


def program(folder: Path, output: str, code: int = 0) -> list[str]:
    """A program that prints what ``pip-audit`` would, and ends as it does."""
    script = folder / "says.py"
    script.write_text(f"import sys\nprint({output!r})\nsys.exit({code})\n", encoding="utf-8")
    return [sys.executable, str(script)]


def test_reads_what_was_judged_and_what_was_not() -> None:
    assert read_report(report(SOUND, UNKNOWN)) == Audit((), judged=1, skipped=1)


def test_names_each_finding_and_where_it_is_mended() -> None:
    assert read_report(report(HOLED)).findings == (
        "holed 2.0: PYSEC-1, mended in 2.1, 3.0",
        "holed 2.0: X, mended in no version yet",
    )


def test_a_finding_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert audit(Path("run.txt"), program(tmp_path, report(SOUND, HOLED), code=1)) == 1
    assert "VULNERABLE: holed 2.0: PYSEC-1" in capsys.readouterr().out


def test_no_finding_passes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert audit(Path("run.txt"), program(tmp_path, report(SOUND))) == 0
    assert "WARNING" not in capsys.readouterr().out


def test_unknown_versions_are_said_aloud(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert audit(Path("run.txt"), program(tmp_path, report(UNKNOWN, SOUND))) == 0
    assert "WARNING: NOT AUDITED, 1 of the versions" in capsys.readouterr().out


@pytest.mark.parametrize("output", ["", "no connection", "[]", "{}"])
def test_no_answer_is_said_aloud(
    output: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert audit(Path("run.txt"), program(tmp_path, output, code=1)) == 0
    assert "WAS NOT AUDITED" in capsys.readouterr().out

"""What a benchmark leaves: a table for people, a file for programs."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from benchmarks.result import Bar, Result, show, write

RESULT = Result(
    "speed",
    ({"who": "we", "rate": 12345.6, "p99 ms": 0.12345, "n": 2000, "x": None},),
    (Bar("fast", "0.71", met=True), Bar("small", "91 MB", met=False)),
    ("only once",),
)
AT = datetime(2026, 11, 21, 10, 30, 5, tzinfo=UTC)


def test_the_table_is_markdown_and_the_bars_say_whether_they_are_met(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show(RESULT)
    said = capsys.readouterr().out
    assert "| who |   rate | p99 ms |     n | x |" in said
    assert "| we  | 12,346 |  0.123 | 2,000 |   |" in said
    assert "met: fast: 0.71" in said
    assert "MISSED: small: 91 MB" in said
    assert "only once" in said


def test_each_run_has_a_file_of_its_own(tmp_path: Path) -> None:
    file = write(RESULT, tmp_path / "results", AT)
    assert file.name == "2026-11-21T10-30-05-speed.json"
    found = json.loads(file.read_text(encoding="utf-8"))
    assert found["at"] == "2026-11-21T10:30:05+00:00"
    assert found["rows"][0]["rate"] == 12345.6
    assert found["bars"][1] == {"asked": "small", "measured": "91 MB", "met": False}
    assert write(RESULT, tmp_path / "results", AT.replace(second=6)) != file

"""What is told of a run: plain lines where nobody watches, a bar on a terminal."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from app.records.store import JobState
from app.sync.job import JOBS
from app.sync_progress import SyncProgress

CLANS = JOBS["clans"]


def shown(*, terminal: bool, quiet: bool = False, error: str | None = None) -> str:
    out = io.StringIO()
    console = Console(file=out, force_terminal=terminal, width=100, quiet=quiet)
    with SyncProgress(console=console) as progress:
        progress.begin(CLANS)
        progress.seen("clans", 100, 1)
        progress.seen("clans", 150, 2)
        progress.seen("territories", 25, 1)
        progress.end(JobState("clans", changed=7, error=error))
        progress.skip(JOBS["items"], "it is busy")
    return out.getvalue()


@pytest.mark.parametrize("terminal", [True, False])
def test_each_job_ends_in_a_line(terminal: bool) -> None:
    text = shown(terminal=terminal)
    assert re.search(r"clans: 175 rows, 7 changed, \d+\.\d s, \d+ rows/s", text)
    assert "items: skipped, it is busy" in text


def test_a_failure_is_told_in_place_of_figures() -> None:
    text = shown(terminal=False, error="clans: [upstream] refused")
    assert "clans: clans: [upstream] refused" in text
    assert "rows/s" not in text


def test_there_is_no_bar_off_a_terminal() -> None:
    assert shown(terminal=False).count("\n") == 2
    assert "\x1b" not in shown(terminal=False)


def test_quiet_says_nothing() -> None:
    assert shown(terminal=False, quiet=True) == ""

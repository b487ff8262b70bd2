"""Processes that are measured: found, waited for, and gone afterwards."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from benchmarks.running import NotInstalled, process, program, wait_for

SLEEP = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)"]
STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("up", flush=True)
time.sleep(60)
"""


def test_what_is_not_installed_is_named_with_what_to_do() -> None:
    with pytest.raises(NotInstalled, match=r"no such-program: scripts/install_real_servers"):
        program("such-program")


def test_a_server_is_gone_after_its_block(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with process(SLEEP, log) as started:
        assert wait_for(lambda: log.read_text() or None, started, log) == "up\n"
        os.kill(started.pid, 0)
    assert started.returncode is not None
    with pytest.raises(ProcessLookupError):
        os.kill(started.pid, 0)


def test_one_that_will_not_end_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.running._ENDED_WITHIN", 0.2)
    log = tmp_path / "log"
    with process([sys.executable, "-c", STUBBORN], log) as started:
        wait_for(lambda: log.read_text() or None, started, log)
    assert started.returncode == -9


def test_one_that_ends_at_once_is_reported_with_what_it_said(tmp_path: Path) -> None:
    log = tmp_path / "log"
    broken = [sys.executable, "-c", "import sys; sys.exit('the port is taken')"]
    with (
        process(broken, log) as started,
        pytest.raises(RuntimeError, match=r"(?s)is not ready.*the port is taken"),
    ):
        wait_for(lambda: None, started, log)

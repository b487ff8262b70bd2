"""What the engine's words mean."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.containers.observed import Inspected, Standing, ends_run, standing_of


@pytest.mark.parametrize(
    ("word", "standing"),
    [
        ("running", Standing.UP),
        ("restarting", Standing.UP),
        ("paused", Standing.PAUSED),
        ("exited", Standing.DOWN),
        ("created", Standing.DOWN),
        ("dead", Standing.GONE),
        ("removing", Standing.GONE),
        ("", Standing.DOWN),
    ],
)
def test_standing(word: str, standing: Standing) -> None:
    assert standing_of(word) is standing


def test_why_it_is_down() -> None:
    down = Inspected("a" * 64, Standing.DOWN, 1.0)
    assert down.fault is None
    assert replace(down, exit_code=137).fault == "it exited with code 137"
    out_of_memory = replace(down, exit_code=137, oom_killed=True).fault
    assert out_of_memory == "it was killed for lack of memory (OOM, exit code 137)"
    assert replace(down, exit_code=127, error="no such file").fault == "no such file"
    assert replace(down, standing=Standing.UP, exit_code=1).fault is None


def test_a_run_is_a_start_of_a_container() -> None:
    one = Inspected("a" * 64, Standing.UP, 1.25)
    assert one.run == replace(one, health="healthy").run
    assert one.run != replace(one, started_at=1.5).run
    assert one.run != replace(one, id="b" * 64).run


@pytest.mark.parametrize(
    ("sent", "stop_signal", "ends"),
    [
        ("15", "SIGTERM", True),
        ("9", "SIGTERM", True),
        ("1", "SIGTERM", False),
        ("3", "SIGQUIT", True),
        ("3", "3", True),
        ("SIGUSR1", "SIGTERM", False),
        ("", "SIGTERM", False),
        ("15", "SIGRTMIN+3", True),
    ],
)
def test_which_signals_end_a_run(sent: str, stop_signal: str, ends: bool) -> None:
    assert ends_run(sent, stop_signal) is ends

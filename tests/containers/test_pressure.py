"""Who sleeps before its time: the least important, and of those the longest idle; never in use."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.containers.idle import Keeper
from app.containers.lifecycle import State
from app.containers.pressure import LEAST_IDLE, available_memory, choose
from app.containers.spec import Priority
from app.containers.view import ContainerView

GB = 1_000_000_000


def view(name: str, **changes: object) -> ContainerView:
    told: dict[str, object] = {
        "name": name,
        "container_id": "0123456789ab",
        "image": "redis",
        "state": State.AWAKE,
        "priority": Priority.NORMAL,
        "sleep": "stop",
        "provides": (),
        "leases": 0,
        "idle_seconds": 60.0,
        "sleeps_in": 100.0,
        "keeper": Keeper.ACTIVE,
        "keeps_awake": "active 60 s ago",
        "error": None,
        "since": 90.0,
        "idle_timeout": 160.0,
        "awake_seconds": 90.0,
        "depends_on": (),
    }
    return ContainerView(**{**told, **changes})  # type: ignore[arg-type]


LOW = view("low", priority=Priority.LOW)
HIGH = view("high", priority=Priority.HIGH, idle_seconds=9_000.0)


@pytest.mark.parametrize(
    ("available", "reserve"), [(2 * GB, GB), (GB, GB), (None, GB), (1, None), (None, None)]
)
def test_without_need_nobody_goes(available: int | None, reserve: int | None) -> None:
    assert choose([LOW, HIGH], available, reserve) is None


@pytest.mark.parametrize(
    ("views", "first"),
    [
        ([HIGH, LOW], "low"),
        ([HIGH], "high"),
        ([view("new", idle_seconds=20.0), view("old", idle_seconds=50.0)], "old"),
        ([LOW, view("older", priority=Priority.LOW, idle_seconds=61.0)], "older"),
        ([view("due", keeper=None, keeps_awake=None, sleeps_in=0.0)], "due"),
        ([view("stuck", state=State.FAILED)], "stuck"),
        ([], None),
        ([view("pausing", sleep="pause")], None),
        ([view("now", idle_seconds=LEAST_IDLE - 1)], None),
    ],
)
def test_the_least_important_goes_first_and_of_those_the_longest_idle(
    views: list[ContainerView], first: str | None
) -> None:
    assert choose(views, GB - 1, GB) == first


@pytest.mark.parametrize("keeper", [one for one in Keeper if one is not Keeper.ACTIVE])
def test_whatever_else_keeps_one_up_is_respected(keeper: Keeper) -> None:
    kept = view("kept", priority=Priority.LOW, keeper=keeper)
    assert choose([kept], 0, GB) is None
    assert choose([kept, HIGH], 0, GB) == "high"


@pytest.mark.parametrize("state", [State.DRAINING, State.STOPPING])
def test_while_one_goes_down_nobody_else_is_chosen(state: State) -> None:
    assert choose([view("going", state=state), LOW], 0, GB) is None


def test_the_kernels_own_figure_is_read() -> None:
    found = available_memory(Path("/proc/meminfo").read_text())
    assert found is not None
    assert found > 1_000_000
    assert available_memory("MemTotal:  100 kB\nMemAvailable:      42 kB\n") == 42 * 1024


@pytest.mark.parametrize("text", ["", "MemAvailable: lots kB\n", "MemFree: 42 kB\n"])
def test_a_figure_that_is_not_there_is_not_guessed(text: str) -> None:
    assert available_memory(text) is None

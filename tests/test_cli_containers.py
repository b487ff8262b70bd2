"""How the containers' commands word what they are told; as processes in ``tests/story``."""

from __future__ import annotations

import pytest
import typer.main

from app.cli_containers import containers_commands, report_row, watch_line
from app.containers.ledger import Account
from app.containers.ledger_file import Ledger
from app.containers.report import report_of
from app.containers.wake_times import WakeTimes


def test_the_commands() -> None:
    commands = typer.main.get_command(containers_commands())
    assert sorted(commands.commands) == [  # type: ignore[attr-defined]
        "list",
        "report",
        "sleep",
        "wake",
        "watch",
    ]


def test_a_line_of_the_report_is_in_units_for_people() -> None:
    account = Account(
        opened=0.0,
        until=0.0,
        seconds={"awake": 7_500.0, "asleep": 86_400.0},
        keepers={"in use": 7_200.0, "used not long ago": 300.0},
        wakes={"ready": 3, "slow": 1},
        causes={"a request": 4},
        times=WakeTimes().with_one(0.25),
        memory=2e8,
        saved=2e8 * 86_400,
    )
    told = report_of(Ledger(0.0, 1.0, {"db": account, "new": Account(0.0, 0.0)}))
    db, new = told["containers"]
    assert report_row("db", db) == [
        "db",
        "2h 05m",
        "1d 00h",
        "3 ready\n1 slow",
        "4 a request",
        "250 ms\n250 ms",
        "2h 00m in use\n5m 00s used not long ago",
        "200 MB",
        "4.8 GB·h",
    ]
    assert report_row("new", new) == ["new", "0", "0", "", "", "", "", "", ""]
    assert report_row("all", told["totals"])[-1] == "4.8 GB·h"


@pytest.mark.parametrize(
    ("event", "data", "line"),
    [
        ("state", {"name": "db", "state": "asleep", "error": None}, "db: asleep"),
        (
            "change",
            {"name": "db", "state": "awake", "cause": "operator 1f0c3a9b", "detail": ""},
            "db: awake (operator 1f0c3a9b)",
        ),
        (
            "change",
            {"name": "db", "state": "failed", "cause": "a request", "detail": "no image"},
            "db: failed (a request): no image",
        ),
        ("dropped", {"reason": "too slow"}, "dropped: too slow"),
    ],
)
def test_a_line_of_watch_says_who_or_what_it_was(
    event: str, data: dict[str, object], line: str
) -> None:
    assert watch_line(event, data) == line

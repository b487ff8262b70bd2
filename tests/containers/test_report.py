"""The books as operators read them."""

from __future__ import annotations

import json

from app.containers.ledger import Account
from app.containers.ledger_file import Ledger
from app.containers.report import report_of
from app.containers.wake_times import WakeTimes

BUSY = Account(
    opened=0.0,
    until=0.0,
    seconds={"awake": 50.0, "draining": 1.0, "asleep": 100.0, "unknown": 7.0},
    keepers={"used not long ago": 21.0, "in use": 30.0},
    wakes={"ready": 2},
    causes={"by hand": 1, "a request": 2},
    sleeps={"idle": 1},
    times=WakeTimes().with_one(0.25),
    memory=1000.4,
    saved=100_000.0,
)


def test_nothing_is_booked_yet() -> None:
    told = report_of(None)
    assert (told["since"], told["containers"]) == (None, [])
    assert told["totals"]["awake_seconds"] == 0
    assert json.loads(json.dumps(told)) == told


def test_each_container_and_all_together() -> None:
    other = Account(opened=0.0, until=0.0, seconds={"asleep": 5.0}, wakes={"ready": 1, "slow": 3})
    told = report_of(Ledger(0.0, 86_400.0, {"z": other, "busy": BUSY}))
    assert (told["since"], told["until"]) == (
        "1970-01-01T00:00:00+00:00",
        "1970-01-02T00:00:00+00:00",
    )
    busy, z = told["containers"]
    assert (busy["name"], z["name"]) == ("busy", "z")
    assert busy["awake_seconds"] == 51.0
    assert busy["unknown_seconds"] == 7.0
    assert list(busy["kept_awake_seconds"]) == ["in use", "used not long ago"]
    assert list(busy["woken_for"]) == ["a request", "by hand"]
    assert busy["wake_seconds"] == {"count": 1, "median": 0.25, "p99": 0.25, "longest": 0.25}
    assert z["wake_seconds"] == {"count": 0, "median": None, "p99": None, "longest": None}
    assert (busy["memory_bytes"], z["memory_bytes"]) == (1000, None)
    assert told["totals"] == {
        "containers": 2,
        "awake_seconds": 51.0,
        "asleep_seconds": 105.0,
        "unknown_seconds": 7.0,
        "wakes": {"ready": 3, "slow": 3},
        "wake_seconds": {"count": 1, "median": 0.25, "p99": 0.25, "longest": 0.25},
        "memory_saved_byte_seconds": 100_000,
    }
    assert json.loads(json.dumps(told)) == told

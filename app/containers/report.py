"""The books as operators read them: plain values, ready for JSON. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from app.containers.ledger import UNKNOWN, Account
from app.containers.ledger_file import Ledger
from app.containers.lifecycle import State
from app.containers.wake_times import WakeTimes


def report_of(ledger: Ledger | None) -> dict[str, Any]:
    """Each container by name, and all together; times in seconds, memory in bytes.

    ``memory_saved_byte_seconds`` is an estimate: see ``ledger.py``.
    """
    if ledger is None:
        return {"since": None, "until": None, "totals": _totals(()), "containers": []}
    accounts = ledger.accounts
    rows = [_row(name, accounts[name]) for name in sorted(accounts)]
    return {
        "since": _date(ledger.opened),
        "until": _date(ledger.saved),
        "totals": _totals(tuple(accounts.values())),
        "containers": rows,
    }


def _row(name: str, account: Account) -> dict[str, Any]:
    return {
        "name": name,
        "since": _date(account.opened),
        "state": None if account.state is None else account.state.value,
        **_figures([account]),
        "woken_for": _largest_first(account.causes),
        "sleeps": dict(account.sleeps),
        "kept_awake_seconds": _largest_first(_rounded(account.keepers)),
        "memory_bytes": None if account.memory is None else round(account.memory),
        "seconds": _rounded(account.seconds),
    }


def _totals(accounts: Iterable[Account]) -> dict[str, Any]:
    listed = list(accounts)
    return {"containers": len(listed), **_figures(listed)}


def _figures(accounts: list[Account]) -> dict[str, Any]:
    """What can be added up."""
    wakes: Counter[str] = Counter()
    times = WakeTimes()
    for account in accounts:
        wakes.update(account.wakes)
        times = times.with_all(account.times)
    return {
        "awake_seconds": round(sum(account.awake for account in accounts), 3),
        "asleep_seconds": _spent(accounts, State.ASLEEP.value),
        "unknown_seconds": _spent(accounts, UNKNOWN),
        "wakes": dict(wakes),
        "wake_seconds": {
            "count": times.count,
            "median": _milliseconds(times.quantile(0.5)),
            "p99": _milliseconds(times.quantile(0.99)),
            "longest": _milliseconds(times.longest if times.count else None),
        },
        "memory_saved_byte_seconds": round(sum(account.saved for account in accounts)),
    }


def _spent(accounts: Iterable[Account], on: str) -> float:
    return round(sum(account.seconds.get(on, 0.0) for account in accounts), 3)


def _rounded(sums: Any) -> dict[str, float]:
    return {name: round(value, 3) for name, value in sums.items()}


def _largest_first(sums: Any) -> dict[str, Any]:
    return dict(sorted(sums.items(), key=lambda pair: (-pair[1], pair[0])))


def _milliseconds(seconds: float | None) -> float | None:
    """Seconds, with no more digits than they are worth."""
    return None if seconds is None else round(seconds, 3)


def _date(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")

"""The books on disk: one JSON file, kept by one process at a time.

Whoever holds the lock beside it keeps the books. Several workers, a gateway that is replaced by
its successor, two that were given the same folder by mistake: one of them writes, the others
read. The kernel gives the lock back when its holder dies, however it dies.
"""

from __future__ import annotations

import contextlib
import fcntl
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import structlog

from app.containers.ledger import Account
from app.containers.wake_times import LAST_STEP, WakeTimes
from app.storage.folders import sync_folder

_log = structlog.get_logger(__name__)
NAME = "container-ledger.json"
_VERSION = 1


@dataclass(frozen=True, slots=True)
class Ledger:
    """All accounts, as they were at the date ``saved``; the first was opened at ``opened``."""

    opened: float
    saved: float
    accounts: Mapping[str, Account] = field(default_factory=dict)


class LedgerNewer(ValueError):
    """Raised for books that were written by a newer program."""


class LedgerFile:
    """The file in ``folder``. What it does blocks: call it from a thread, one call at a time.

    ``claim`` before each ``write``; ``read`` is for everybody.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME
        self._lock: int | None = None
        self._failing = False
        self._is_newer = False

    def claim(self) -> bool:
        """Become the one who keeps the books, unless somebody else is. May be called again.

        Where the disk has no place for a lock everybody keeps books of his own, in memory.
        """
        if self._lock is not None:
            return True
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            lock = os.open(self.path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            self._told(error)
            return True
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            return False
        self._lock = lock
        return True

    def read(self) -> Ledger | None:
        """What was written last; ``None`` if there is nothing.

        A file that cannot be read is set aside by whoever keeps the books, with a line in the log;
        one of a newer program is left as it is, and the books are kept in memory.
        """
        try:
            return load(self.path.read_bytes())
        except FileNotFoundError:
            return None
        except OSError as error:
            self._told(error)
            return None
        except LedgerNewer as error:
            self._leave(error)
            return None
        except ValueError as error:
            if self._lock is not None:
                self._set_aside(error)
            return None

    def write(self, ledger: Ledger) -> bool:
        """Replace the file by ``ledger``; whether that worked. A crash leaves one or the other."""
        if self._lock is None or self._is_newer:
            return False
        fresh = self.path.with_suffix(".new")
        try:
            with fresh.open("wb") as file:
                file.write(dump(ledger))
                file.flush()
                os.fsync(file.fileno())
            os.replace(fresh, self.path)
            sync_folder(self.path.parent)
        except OSError as error:
            self._told(error)
            # What was written of it would keep a full disk full.
            with contextlib.suppress(OSError):
                fresh.unlink(missing_ok=True)
            return False
        if self._failing:
            _log.info("the container books can be written again")
            self._failing = False
        return True

    def release(self) -> None:
        """Let somebody else keep the books. May be called twice."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _leave(self, reason: LedgerNewer) -> None:
        if not self._is_newer:
            _log.warning(
                "the container books are of a newer Drawbridge and are left as they are",
                file=str(self.path),
                reason=str(reason),
                advice="upgrade Drawbridge, or move the file away",
            )
            self._is_newer = True

    def _set_aside(self, reason: ValueError) -> None:
        aside = self.path.with_suffix(".damaged")
        with contextlib.suppress(OSError):
            os.replace(self.path, aside)
        _log.warning(
            "the container books are damaged; new ones are begun",
            set_aside=str(aside),
            reason=str(reason),
        )

    def _told(self, error: OSError) -> None:
        if not self._failing:
            _log.warning("the container books cannot be kept on disk", reason=str(error))
            self._failing = True


def dump(ledger: Ledger) -> bytes:
    """``ledger`` as JSON; where a container is now is not part of it."""
    accounts = {name: _row(account) for name, account in ledger.accounts.items()}
    told = {"version": _VERSION, "opened": ledger.opened, "saved": ledger.saved}
    return orjson.dumps({**told, "accounts": accounts}, option=orjson.OPT_INDENT_2)


def load(text: bytes) -> Ledger:
    """What ``dump`` wrote. Raises ``ValueError`` for everything else, ``LedgerNewer`` for what a
    newer program did."""
    told = orjson.loads(text)
    try:
        if isinstance(told["version"], int) and told["version"] > _VERSION:
            raise LedgerNewer(f"its version is {told['version']}, this program knows {_VERSION}")
        if told["version"] != _VERSION:
            raise ValueError(f"its version is {told['version']!r}, and not {_VERSION}")
        accounts = {str(name): _account(row) for name, row in told["accounts"].items()}
        return Ledger(_amount(told["opened"]), _amount(told["saved"]), accounts)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"something is missing or of the wrong kind: {error!r}") from None


def _row(account: Account) -> dict[str, Any]:
    times = account.times
    return {
        "opened": account.opened,
        "until": account.until,
        "seconds": account.seconds,
        "keepers": account.keepers,
        "wakes": account.wakes,
        "causes": account.causes,
        "sleeps": account.sleeps,
        "times": {str(step): count for step, count in times.counts.items()},
        "shortest": times.shortest if times.counts else None,
        "longest": times.longest,
        "memory": account.memory,
        "saved": account.saved,
    }


def _account(row: Any) -> Account:
    return Account(
        opened=_amount(row["opened"]),
        until=_amount(row["until"]),
        seconds=_sums(row["seconds"]),
        keepers=_sums(row["keepers"]),
        wakes=_counts(row["wakes"]),
        causes=_counts(row["causes"]),
        sleeps=_counts(row["sleeps"]),
        times=_times(row),
        memory=None if row["memory"] is None else _amount(row["memory"]),
        saved=_amount(row["saved"]),
    )


def _times(row: Any) -> WakeTimes:
    counts = {_step(step): _count(count) for step, count in row["times"].items()}
    if not counts:
        return WakeTimes()
    return WakeTimes(counts, _amount(row["shortest"]), _amount(row["longest"]))


def _sums(told: Any) -> dict[str, float]:
    return {str(name): _amount(value) for name, value in told.items()}


def _counts(told: Any) -> dict[str, int]:
    return {str(name): _count(value) for name, value in told.items()}


def _amount(value: Any) -> float:
    number = float(value)
    if not 0 <= number < math.inf:
        raise ValueError(f"{value!r} is no amount")
    return number


def _count(value: Any) -> int:
    if not isinstance(value, int) or value < 0:
        raise ValueError(f"{value!r} is no count")
    return value


def _step(text: Any) -> int:
    step = int(text)
    if not 0 <= step <= LAST_STEP:
        raise ValueError(f"{text!r} is no step of the histogram")
    return step

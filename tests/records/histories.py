"""Each engine that keeps values over time, and what a history should hold, as a plain model."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from app.records.history import History, Point, Series
from app.records.mongo_history import MongoHistory
from app.records.schema import MIGRATIONS
from app.records.sqlite_history import SqliteHistory
from app.records.thinning import day_of, doomed, slot_of
from app.storage.mongo_link import MongoLink
from app.storage.sqlite_file import SqliteFile

PATIENCE = 30.0
DAY = 86_400
TODAY = 20_500
"""A day in 2026, in days since 1970."""
Open = Callable[[], History]


def sqlite_history(folder: Path) -> History:
    return SqliteHistory(SqliteFile(folder / "records.sqlite3", MIGRATIONS, timeout=PATIENCE))


def mongo_history(uri: str, database: str) -> History:
    return MongoHistory(MongoLink(uri, database, timeout=PATIENCE))


def nowhere(history: History, folder: Path) -> History:
    """A history of the same kind, whose place is not there."""
    if isinstance(history, SqliteHistory):
        (folder / "a file").touch()
        return sqlite_history(folder / "a file")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        uri = f"mongodb://127.0.0.1:{probe.getsockname()[1]}"
    return MongoHistory(MongoLink(uri, "estfor", timeout=0.1))


@dataclass
class Model:
    """What is to be remembered: the rule of ``app/records/thinning.py`` applied to everything."""

    slots: dict[Series, dict[int, Point]] = field(default_factory=dict)

    def add(self, points: Sequence[tuple[Series, Point]]) -> None:
        for series, point in points:
            self.slots.setdefault(series, {})[slot_of(point.at)] = point

    def series(self, series: Series) -> list[Point]:
        return [point for _, point in sorted(self.slots.get(series, {}).items())]

    def thin(self, now: float) -> int:
        count = 0
        for points in self.slots.values():
            gone = doomed(sorted(points), day_of(now))
            count += len(gone)
            for slot in gone:
                del points[slot]
        return count


def at_day(day: float, value: int = 1) -> Point:
    """A point so many days after ``TODAY`` began."""
    return Point(int((TODAY + day) * DAY), str(value))


def every(seconds: int, days: Sequence[int], offset: int = 0) -> list[Point]:
    """A point every so many seconds of ``days``, counted from ``TODAY``."""
    starts = [(TODAY + day) * DAY for day in days]
    times = [at for start in starts for at in range(start + offset, start + DAY, seconds)]
    return [Point(at, str(number)) for number, at in enumerate(times)]

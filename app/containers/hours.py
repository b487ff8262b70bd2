"""Running hours: when a container is kept up although nobody asks for it. Pure.

A wall clock decides, that of the zone at the end of the label, else the host's. So on the day on
which clocks change a window is an hour shorter or longer, as it is for the people who work in it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
EVERY_DAY = frozenset(range(7))
DAY_MINUTES = 1440
ALLOWED = (
    "must be hours and days, as in 08:00-18:00 Mon-Fri, or 22:00-06:00 Sat,Sun Europe/Berlin; "
    "several are separated by commas"
)
_TIMES = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-(?:([01]\d|2[0-3]):([0-5]\d)|(24):(00))")
_LOOK_AHEAD = timedelta(days=8)


@dataclass(frozen=True, slots=True)
class Window:
    """From ``begin`` to ``end``, in minutes of the day, on ``days`` (0 is Monday).

    One that ends before it begins goes over midnight, and belongs to the day on which it begins.
    """

    begin: int
    end: int
    days: frozenset[int] = EVERY_DAY

    def holds(self, day: int, minute: int) -> bool:
        """Whether that minute of that day is in it."""
        if self.begin < self.end:
            return day in self.days and self.begin <= minute < self.end
        yesterday = (day - 1) % 7
        late = day in self.days and minute >= self.begin
        return late or (yesterday in self.days and minute < self.end)


@dataclass(frozen=True, slots=True)
class Hours:
    """Windows, and the name of the zone whose clock counts; ``None`` is the host's."""

    windows: tuple[Window, ...]
    zone: str | None = None


def is_within(hours: Hours, now: datetime) -> bool:
    """Whether ``now``, by the clock that counts, is in one of the windows."""
    day, minute = now.weekday(), now.hour * 60 + now.minute
    return any(window.holds(day, minute) for window in hours.windows)


def local_time(hours: Hours, wall: float) -> datetime:
    """What the clock that counts shows at ``wall``, in seconds since 1970."""
    if hours.zone is None:
        return datetime.fromtimestamp(wall, UTC).astimezone()
    return datetime.fromtimestamp(wall, ZoneInfo(hours.zone))


def next_change(hours: Hours, wall: float) -> float | None:
    """When they next begin or end, in seconds since 1970; ``None``: not within a week."""
    within, last = is_within(hours, local_time(hours, wall)), wall + _LOOK_AHEAD.total_seconds()
    before = wall - wall % 60
    while before < last:
        after = before + 60 * _minutes_to_edge(hours, local_time(hours, before))
        if is_within(hours, local_time(hours, after)) is not within:
            return _first(hours, before, after, within)
        before = after
    return None


def parse_hours(text: str) -> Hours:
    """Hours from their label; ``ValueError`` says what is allowed.

    Parts are separated by commas. A part without times is another day of the part before it, so
    that ``08:00-18:00 Mon,Wed,Fri`` means what it says.
    """
    zone, rest = _zone(text)
    windows: list[Window] = []
    for part in rest.split(","):
        words = part.split()
        times = _TIMES.fullmatch(words[0]) if words else None
        if times is not None and len(words) <= 2:
            windows.append(_window(times, words[1:]))
        elif windows and len(words) == 1 and windows[-1].days != EVERY_DAY:
            last = windows[-1]
            windows[-1] = Window(last.begin, last.end, last.days | _days(words[0]))
        else:
            raise ValueError(ALLOWED)
    return Hours(tuple(windows), zone)


def _window(times: re.Match[str], days: list[str]) -> Window:
    hour, minute, end_hour, end_minute = (int(part) for part in times.groups() if part is not None)
    begin, end = hour * 60 + minute, end_hour * 60 + end_minute
    if begin == end:
        raise ValueError("must not end when it begins; the whole day is 00:00-24:00")
    return Window(begin, end, _days(days[0]) if days else EVERY_DAY)


def _days(text: str) -> frozenset[int]:
    first, dash, last = (word.lower() for word in text.partition("-"))
    if first not in DAYS or (dash and last not in DAYS):
        raise ValueError(f"{text!r} is no day; days are Mon, Tue, Wed, Thu, Fri, Sat, Sun")
    begin = DAYS.index(first)
    count = (DAYS.index(last) - begin) % 7 if dash else 0
    return frozenset((begin + step) % 7 for step in range(count + 1))


def _zone(text: str) -> tuple[str | None, str]:
    """The zone at the end, if there is one, and the rest."""
    rest, _, name = text.strip().rpartition(" ")
    if "/" not in name and name != "UTC":
        return None, text
    try:
        return ZoneInfo(name).key, rest
    except (ValueError, OSError, KeyError):
        raise ValueError(f"{name!r} is no time zone that is known here") from None


def _minutes_to_edge(hours: Hours, now: datetime) -> int:
    """Until a window could begin or end, on whatever day."""
    minute = now.hour * 60 + now.minute
    edges = {edge for window in hours.windows for edge in (window.begin, window.end)}
    return min((edge - minute - 1) % DAY_MINUTES + 1 for edge in edges)


def _first(hours: Hours, before: float, after: float, within: bool) -> float:
    """The minute of the change: not ``after`` itself on the day on which clocks change."""
    low, high = 0, round((after - before) / 60)
    while high - low > 1:
        middle = (low + high) // 2
        if is_within(hours, local_time(hours, before + 60 * middle)) is within:
            low = middle
        else:
            high = middle
    return before + 60 * high

"""How fine values over time are kept, by age, and which points go. PURE.

Ages are counted in whole days (UTC), so that all of a day becomes coarser at once:

====================  =========================================
today and 2 days      every point: one in 5 minutes at most
60 days               the last point of each hour
older                 the last point of each day, for ever
====================  =========================================

Points are told by their *slot*: the number of their interval since 1970.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby

from app.records.history import INTERVAL

FINE_DAYS = 2
HOURLY_DAYS = 60
DAY = 86_400
HOUR_SLOTS = 3_600 // INTERVAL
DAY_SLOTS = DAY // INTERVAL


def slot_of(at: float) -> int:
    """The interval that the wall time ``at`` is in."""
    return int(at // INTERVAL)


def day_of(at: float) -> int:
    """The day, since 1970, that the wall time ``at`` is in."""
    return int(at // DAY)


def step_of(day: int, today: int) -> int:
    """How many slots have one point between them, on a ``day`` that is as old as that."""
    age = today - day
    if age <= FINE_DAYS:
        return 1
    return HOUR_SLOTS if age <= HOURLY_DAYS else DAY_SLOTS


def doomed(slots: Iterable[int], today: int) -> list[int]:
    """Those of a series' ``slots`` whose points go: all but the last of each step.

    ``slots`` rise. It may be given a part of a series, if that is made of whole days.
    """
    gone: list[int] = []
    for _, together in groupby(slots, key=lambda slot: _place(slot, today)):
        gone += list(together)[:-1]
    return gone


def due(slots: Iterable[int], today: int) -> int | None:
    """The day on which there may be something to thin again; ``None``: all are as coarse as can be.

    Of a series that was just thinned the first slot of each step tells as much as all of them.
    """
    return min(_next_days(slots, today), default=None)


def due_after(slot: int) -> int:
    """The day on which a point that is new may have to go, however old it is."""
    return slot // DAY_SLOTS + FINE_DAYS + 1


def crossings(since: int, today: int) -> tuple[range, ...]:
    """The slots of the days that became coarser from the day ``since`` until ``today``.

    Of a series that had nothing to be thinned before ``since``, these are all that matter.
    """
    daily = range(since - HOURLY_DAYS - 1, today - HOURLY_DAYS)
    hourly = range(max(since - FINE_DAYS - 1, today - HOURLY_DAYS), today - FINE_DAYS)
    days = (daily, hourly)
    return tuple(range(d.start * DAY_SLOTS, d.stop * DAY_SLOTS) for d in days if d)


def beginnings(today: int) -> tuple[int, int]:
    """The first slots that are kept by the hour, and as they are."""
    return (today - HOURLY_DAYS) * DAY_SLOTS, (today - FINE_DAYS) * DAY_SLOTS


def _place(slot: int, today: int) -> tuple[int, int]:
    step = step_of(slot // DAY_SLOTS, today)
    return step, slot // step


def _next_days(slots: Iterable[int], today: int) -> Iterator[int]:
    for slot in slots:
        day = slot // DAY_SLOTS
        step = step_of(day, today)
        if step < DAY_SLOTS:
            yield day + 1 + (FINE_DAYS if step == 1 else HOURLY_DAYS)

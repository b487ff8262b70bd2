"""A part of a row's history: points as they are, in pages, or one value for every step."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass

from app.records.history import History, Point, Series
from app.records.readings import Reading
from app.records.stepping import Walk, ends

_AT_ONCE = 2_000
"""Points of one series that are read and held at once while steps are made of them."""

Value = tuple[int, str | None]
"""A time in seconds since 1970, and what was known then; ``None``: nothing yet."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """``readings`` of one row, from ``since`` until before ``until``, in seconds since 1970."""

    kind: str
    id: str
    readings: tuple[Reading, ...]
    since: int
    until: int

    def kept(self) -> dict[str, Series]:
        """The series that are needed for it, by their fields."""
        fields = dict.fromkeys(reading.kept for reading in self.readings)
        return {field: Series(self.kind, self.id, field) for field in fields}


@dataclass(frozen=True, slots=True)
class Excerpt:
    """Values by name of the reading. ``next``: the ``since`` of what follows, if there is more."""

    series: dict[str, Sequence[Value]]
    next: int | None = None

    def is_empty(self) -> bool:
        """Whether nothing is known at all."""
        return all(value is None for values in self.series.values() for _, value in values)


async def points(history: History, wanted: Wanted, *, limit: int) -> Excerpt:
    """The first points of every series, ``limit`` together: all up to the same time.

    Of what is read off a value, those are left out in which it is the same as before. Raises
    ``StoreError``.
    """
    kept = wanted.kept()
    share = max(1, limit // len(kept))
    found: dict[str, list[Point]] = {}
    following: int | None = None
    for field, series in kept.items():
        until = wanted.until if following is None else following
        page = await history.series(series, since=wanted.since, until=until, limit=share + 1)
        if len(page) > share:
            following = page[share].at
        found[field] = page[:share]
    end = wanted.until if following is None else following
    return Excerpt(
        {one.name: _read(one, found[one.kept], end) for one in wanted.readings}, following
    )


def _read(reading: Reading, found: Sequence[Point], end: int) -> list[Value]:
    values: list[Value] = []
    before: str | None = None
    for point in found:
        value = reading.read(point.value)
        if point.at < end and (value != before or reading.name == reading.kept):
            values.append((point.at, value))
        before = value
    return values


async def pages(
    history: History, wanted: Wanted, first: Excerpt, *, limit: int
) -> AsyncGenerator[Excerpt, None]:
    """``first``, which is of ``wanted``, and all that follow it. Raises ``StoreError``."""
    excerpt = first
    yield excerpt
    while excerpt.next is not None:
        rest = Wanted(wanted.kind, wanted.id, wanted.readings, excerpt.next, wanted.until)
        excerpt = await points(history, rest, limit=limit)
        yield excerpt


async def steps(history: History, wanted: Wanted, step: int) -> Excerpt:
    """What was known at the end of each step (``app/records/stepping.py``), from what was known
    before. Raises ``StoreError``.
    """
    times = ends(wanted.since, wanted.until, step)
    kept = {
        field: await _walk(history, series, wanted, times)
        for field, series in wanted.kept().items()
    }
    return Excerpt({one.name: _each(one.read, kept[one.kept]) for one in wanted.readings})


async def _walk(
    history: History, series: Series, wanted: Wanted, times: Sequence[int]
) -> list[Value]:
    known = await history.latest(series, before=wanted.since)
    walk = Walk(None if known is None else known.value, times)
    values: list[Value] = []
    since = wanted.since
    while True:
        page = await history.series(series, since=since, until=wanted.until, limit=_AT_ONCE)
        values += walk.over(page)
        if len(page) < _AT_ONCE:
            return [*values, *walk.rest()]
        since = page[-1].at + 1


def _each(read: Callable[[str], str], values: Sequence[Value]) -> list[Value]:
    return [(at, None if value is None else read(value)) for at, value in values]

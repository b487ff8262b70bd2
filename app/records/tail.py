"""The end of the log of changes, for any number of followers: one of us reads it for all.

What came last is kept in memory, so those who follow closely cost the log one read together.
Whoever is further behind reads the log for itself, from its own cursor, until it has caught up:
so nothing is queued for anybody, and a follower that is slow loses nothing and holds up nobody.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple

import structlog

from app.cause import for_nobody
from app.errors import StoreError
from app.records.change import ChangeLog, CursorGone, Told

_log = structlog.get_logger(__name__)
_PAGE = 256
_MOST_READ_AT_ONCE = 4
"""How many of those that are behind may read the log at once."""
_WITHIN = 30.0
_PAUSE = 1.0
"""Seconds between two tries to read a log that fails."""


class Line(NamedTuple):
    """A change, and what followers say of it."""

    told: Told
    text: bytes


class Tail:
    """``log``'s end; up to twice ``window`` changes are kept. Reads while somebody follows.

    ``write`` makes the text of a change, once for all who follow closely.
    """

    def __init__(
        self, log: ChangeLog, write: Callable[[Told], bytes], *, window: int = 1024
    ) -> None:
        self._log = log
        self._write = write
        self._window = window
        self._followers = 0
        self._reading: asyncio.Task[None] | None = None
        self._turns = asyncio.Semaphore(_MOST_READ_AT_ONCE)
        self._news = asyncio.Event()
        self._begin_behind("")

    @asynccontextmanager
    async def follow(self, after: str) -> AsyncIterator[AsyncIterator[list[Line]]]:
        """Pages of what stands behind ``after``, and of what comes, for as long as it comes.

        Iterating raises ``StoreError`` when the log cannot be read just now, ``CursorGone`` when
        the follower came too late.
        """
        self._followers += 1
        if self._reading is None:
            self._reading = asyncio.create_task(
                self._read(), name="reader of changes", context=for_nobody()
            )
        pages = self._pages(after)
        try:
            yield pages
        finally:
            self._followers -= 1
            if not self._followers:
                reading, self._reading = self._reading, None
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)

    async def _pages(self, after: str) -> AsyncIterator[list[Line]]:
        while True:
            # Taken before looking: what comes meanwhile is not slept through.
            news = self._news
            page = self._remembered(after)
            if page is None:
                async with self._turns:
                    page = self._written(await self._log.read(after, limit=_PAGE))
            if page:
                yield page
                after = page[-1].told.cursor
            else:
                await news.wait()

    def _remembered(self, after: str) -> list[Line] | None:
        """What stands behind ``after``, as far as it is in memory; ``None``: it cannot be told."""
        place = self._places.get(after)
        return None if place is None else self._lines[place : place + _PAGE]

    def _written(self, page: list[Told]) -> list[Line]:
        return [Line(told, self._write(told)) for told in page]

    async def _read(self) -> None:
        failing = False
        while True:
            try:
                self._begin_behind(await self._log.last())
                failing = False
                while True:
                    if await self._log.wait(self._end, within=_WITHIN):
                        self._remember(await self._log.read(self._end, limit=_PAGE))
            except CursorGone as gone:
                _log.info("the log of changes goes on elsewhere", reason=str(gone))
            except StoreError as error:
                if not failing:
                    _log.warning("changes are not read for those who follow", reason=str(error))
                failing = True
                await asyncio.sleep(_PAUSE)

    def _begin_behind(self, cursor: str) -> None:
        self._lines: list[Line] = []
        # Where in the list the changes behind a cursor begin.
        self._places = {cursor: 0}
        self._end = cursor
        self._tell()

    def _remember(self, page: list[Told]) -> None:
        for line in self._written(page):
            self._lines.append(line)
            self._end = line.told.cursor
            self._places[self._end] = len(self._lines)
        if len(self._lines) >= 2 * self._window:
            self._lines = self._lines[-self._window :]
            self._places = {line.told.cursor: at for at, line in enumerate(self._lines, 1)}
        self._tell()

    def _tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

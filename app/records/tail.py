"""The end of the log of changes, for any number of followers: one of us reads it for all.

What came last is kept in memory, so those who follow closely cost the log one read together.
Whoever is further behind reads the log for itself, from its own cursor, until it has caught up:
so nothing is queued for anybody, and a follower that is slow loses nothing and holds up nobody.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from app.errors import StoreError
from app.records.change import ChangeLog, CursorGone, Told

_log = structlog.get_logger(__name__)
_PAGE = 256
_MOST_READ_AT_ONCE = 4
"""How many of those that are behind may read the log at once."""
_WITHIN = 30.0
_PAUSE = 1.0
"""Seconds between two tries to read a log that fails."""


class Tail:
    """``log``'s end; up to twice ``window`` changes are kept. Reads while somebody follows."""

    def __init__(self, log: ChangeLog, *, window: int = 1024) -> None:
        self._log = log
        self._window = window
        self._followers = 0
        self._reading: asyncio.Task[None] | None = None
        self._turns = asyncio.Semaphore(_MOST_READ_AT_ONCE)
        self._news = asyncio.Event()
        self._begin_behind("")

    @asynccontextmanager
    async def follow(self, after: str) -> AsyncIterator[AsyncIterator[list[Told]]]:
        """Pages of what stands behind ``after``, and of what comes, for as long as it comes.

        Iterating raises ``StoreError`` when the log cannot be read just now, ``CursorGone`` when
        the follower came too late.
        """
        self._followers += 1
        if self._reading is None:
            self._reading = asyncio.create_task(self._read(), name="reader of changes")
        pages = self._pages(after)
        try:
            yield pages
        finally:
            self._followers -= 1
            if not self._followers:
                reading, self._reading = self._reading, None
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)

    async def _pages(self, after: str) -> AsyncIterator[list[Told]]:
        while True:
            # Taken before looking: what comes meanwhile is not slept through.
            news = self._news
            page = self._remembered(after)
            if page is None:
                async with self._turns:
                    page = await self._log.read(after, limit=_PAGE)
            if page:
                yield page
                after = page[-1].cursor
            else:
                await news.wait()

    def _remembered(self, after: str) -> list[Told] | None:
        """What stands behind ``after``, as far as it is in memory; ``None``: it cannot be told."""
        place = self._places.get(after)
        return None if place is None else self._told[place : place + _PAGE]

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
        self._told: list[Told] = []
        # Where in the list the changes behind a cursor begin.
        self._places = {cursor: 0}
        self._end = cursor
        self._tell()

    def _remember(self, page: list[Told]) -> None:
        for one in page:
            self._told.append(one)
            self._places[one.cursor] = len(self._told)
            self._end = one.cursor
        if len(self._told) >= 2 * self._window:
            self._told = self._told[-self._window :]
            self._places = {one.cursor: place for place, one in enumerate(self._told, 1)}
        self._tell()

    def _tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

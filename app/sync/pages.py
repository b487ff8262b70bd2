"""All rows of a collection, a page at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator
from dataclasses import dataclass

from app.errors import SyncError
from app.kingdom.collections import Collection, Extent
from app.kingdom.operation import Operation, Shape
from app.steps import in_steps
from app.sync import rows as pieces
from app.sync.rows import Row
from app.sync.source import Answer, Source

PAGE = 1000
"""Rows that are asked for at once: nobody asks the upstream for more."""
MOST_ROWS = 500_000
"""Rows that one run may bring: their ids are held, and an upstream that pages without end ends."""


@dataclass(frozen=True, slots=True)
class Page:
    """What one call brought. ``part`` is the fan's value that it was asked with, ``""`` without a
    fan; ``first`` and ``last`` say whether it begins and ends its part; ``at`` is the wall time
    when it was asked for."""

    part: str
    first: bool
    last: bool
    rows: list[Row]
    content_type: str
    at: float


@dataclass(frozen=True, slots=True)
class _Part:
    """What is asked for one value of the fan."""

    name: str
    values: dict[str, str]
    query: tuple[tuple[str, str], ...]


class Pages:
    """Asks ``source`` for a collection, which ``operation`` answers; ``wall`` counts from 1970."""

    def __init__(
        self,
        source: Source,
        collection: Collection,
        operation: Operation,
        *,
        wall: Callable[[], float],
        most_rows: int = MOST_ROWS,
    ) -> None:
        self.calls = 0
        """Answered so far."""
        self.rows = 0
        """Brought so far; one that came twice counts twice."""
        self._source = source
        self._collection = collection
        self._operation = operation
        self._wall = wall
        self._most_rows = most_rows
        nameless = operation.shape is Shape.OBJECT and operation.record_key is None
        only = collection.name if nameless else None
        self._shape = pieces.Shape(operation.envelope, collection.key, only)

    async def read(self) -> AsyncGenerator[Page, None]:
        """Every page of every part, each part until a page of it is short.

        The next page is on its way while the caller works on one, unless the caller may not want
        it. Raises ``UpstreamError``, and ``SyncError`` if an answer is not what one may be.
        """
        ahead = self._collection.extent is not Extent.NEWEST
        for part in self._parts():
            skip, last = 0, False
            coming = self._begin(part, skip)
            try:
                while not last:
                    at, answer = await coming
                    self.calls += 1
                    rows = await self._cut(answer)
                    last, first = not self._is_full(len(rows)), skip == 0
                    skip += len(rows)
                    if ahead and not last:
                        coming = self._begin(part, skip)
                    yield Page(part.name, first, last, rows, answer.content_type, at)
                    if not ahead and not last:
                        coming = self._begin(part, skip)
            finally:
                coming.cancel()
                await asyncio.gather(coming, return_exceptions=True)

    def _begin(self, part: _Part, skip: int) -> asyncio.Task[tuple[float, Answer]]:
        return asyncio.create_task(self._ask(part, skip), name="sync-page")

    def _parts(self) -> Iterator[_Part]:
        wanted = self._collection
        order = () if wanted.order is None else wanted.order
        query = (*wanted.query, *zip(("orderBy", "orderDirection"), order, strict=False))
        if wanted.fan is None:
            yield _Part("", {}, query)
            return
        name, values = wanted.fan
        for value in values:
            if name in self._operation.path_parameters:
                yield _Part(value, {name: value}, query)
            else:
                yield _Part(value, {}, (*query, (name, value)))

    async def _ask(self, part: _Part, skip: int) -> tuple[float, Answer]:
        at, query = self._wall(), part.query
        if self._operation.page_size is not None:
            query = (*query, ("numToFetch", str(PAGE)), ("numToSkip", str(skip)))
        answer = await self._source.ask(self._operation, part.values, query)
        missing = answer.status == 404 and self._operation.shape is Shape.OBJECT
        if answer.status != 200 and not missing:
            where = f" for {part.name}" if part.name else ""
            raise SyncError(f"the upstream answered {answer.status}{where}")
        return at, answer

    async def _cut(self, answer: Answer) -> list[Row]:
        if answer.status != 200:
            return []
        rows = await in_steps(pieces.cut(answer.body, self._shape))
        self.rows += len(rows)
        if self.rows > self._most_rows:
            raise SyncError(f"more than {self._most_rows} rows: it does not seem to end")
        return rows

    def _is_full(self, rows: int) -> bool:
        """Whether there may be more: also after as many rows as an upstream gives that does not
        heed how many it is asked for."""
        size = self._operation.page_size
        return size is not None and (rows >= PAGE or rows == size)

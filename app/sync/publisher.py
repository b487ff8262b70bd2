"""Tells what committed drafts did: to the log of changes, then to those who make something of it.

What is to be told stands in the record store until it is marked as published, so a crash at any
point means that it is told again. The log leaves out what it has; the others are told at least
once, and in order.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from itertools import groupby
from typing import Protocol

import structlog

from app.records.change import Change, ChangeLog
from app.records.store import RecordStore
from app.sync.difference import change_of

_log = structlog.get_logger(__name__)
_BATCH = 256
"""Rows that are read, appended and handed on at once."""

Sink = Callable[[Sequence[Change]], Awaitable[None]]
"""Is told changes of one collection and one draft; perhaps more than once, after a crash."""


class Observer(Protocol):
    """Is told how many changes of a collection were published."""

    def published(self, kind: str, count: int) -> None: ...


class Publisher:
    """Publishes what ``store`` knows to ``log``, and then to each of ``sinks``."""

    def __init__(
        self,
        store: RecordStore,
        log: ChangeLog,
        sinks: Sequence[Sink] = (),
        *,
        observer: Observer | None = None,
    ) -> None:
        self._store = store
        self._log = log
        self._sinks = tuple(sinks)
        self._observer = observer

    async def publish(self, collection: str) -> int:
        """Tell what has not been told of ``collection``; how many changes that were.

        Raises what the store, the log or a sink raises; then it is told the next time.
        """
        generation = await self._store.generation(collection)
        if generation is None or generation.published >= generation.number:
            return 0
        count, number = 0, generation.published
        # No row's id is empty: behind this stands the first row of the next draft.
        after = (number + 1, "")
        while page := await self._store.differences(collection, after=after, limit=_BATCH):
            for draft, differences in groupby(page, lambda one: one.number):
                if draft > number > generation.published:
                    await self._store.mark_published(collection, number)
                number = draft
                changes = [change_of(collection, one) for one in differences]
                if not await self._tell(collection, [one for one in changes if one is not None]):
                    return count
                count += sum(one is not None for one in changes)
            after = (number, page[-1].after.id)
        await self._store.mark_published(collection, max(number, generation.number))
        return count

    async def _tell(self, collection: str, changes: Sequence[Change]) -> bool:
        """Whether it was for us to tell them: nobody has told a newer draft."""
        if not changes:
            return True
        if not await self._log.append(changes):
            _log.warning(
                "changes are not told: those of a newer draft have been",
                collection=collection,
                draft=changes[0].draft,
            )
            return False
        for sink in self._sinks:
            await sink(changes)
        if self._observer is not None:
            self._observer.published(collection, len(changes))
        return True

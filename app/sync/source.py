"""Where the rows of a sync job come from: one question, one answer, at a polite pace."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from app.errors import UpstreamError
from app.kingdom.operation import Operation

PAUSES = (5.0, 20.0)
"""Seconds before a call of a run is made again: a hundred pages are not thrown away for one."""
MOST_PATIENCE = 120.0
"""Seconds; whoever wants to be left alone for longer is asked again by the next run."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What was said: 200 with a plausible body, or an error of the upstream's own."""

    status: int
    content_type: str
    body: bytes
    seconds: float


class Source(Protocol):
    """Whoever can be asked for rows."""

    async def ask(
        self, operation: Operation, values: Mapping[str, str], query: Sequence[tuple[str, str]]
    ) -> Answer:
        """The answer to ``operation`` with ``values`` in its path and the pairs of ``query``.

        In the background: who is waited for goes first. Raises ``UpstreamError``.
        """


class PoliteSource:
    """Asks ``source`` one thing at a time, with ``pace`` seconds between two calls.

    A call that brings nothing is made again after each of ``PAUSES``, later if the upstream said
    so. Raises what the last of them raised. ``clock`` is monotonic.
    """

    def __init__(
        self,
        source: Source,
        *,
        pace: float,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._source = source
        self._pace = pace
        self._clock = clock
        self._sleep = sleep
        self._line = asyncio.Lock()
        self._free_at = clock()

    async def ask(
        self, operation: Operation, values: Mapping[str, str], query: Sequence[tuple[str, str]]
    ) -> Answer:
        """See ``Source``."""
        async with self._line:
            for pause in PAUSES:
                try:
                    return await self._call(operation, values, query)
                except UpstreamError as error:
                    wait = max(pause, error.retry_after or 0.0)
                    if wait > MOST_PATIENCE:
                        raise
                await self._sleep(wait)
            return await self._call(operation, values, query)

    async def _call(
        self, operation: Operation, values: Mapping[str, str], query: Sequence[tuple[str, str]]
    ) -> Answer:
        early = self._free_at - self._clock()
        if early > 0:
            await self._sleep(early)
        try:
            return await self._source.ask(operation, values, query)
        finally:
            self._free_at = self._clock() + self._pace

"""Asking the upstream and remembering what it says: one call for all who want the same."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

import structlog
from cachetools import TTLCache

from app.cache.emptied import Doubt, is_suddenly_empty
from app.cache.encoding import tag_body
from app.cache.flight import FlightTable
from app.cache.freshness import is_storable
from app.cache.handover import pack, unpack
from app.cache.key import RequestKey
from app.cache.shared_flight import Flights
from app.cache.store import Entry
from app.errors import UpstreamError, UpstreamImplausible, UpstreamTimeout

_log = structlog.get_logger(__name__)
RETRY_PAUSE = 1.0
"""Seconds after a failure in which the upstream is left alone about a known answer."""
EARLY_AT_ONCE = 4
"""Refreshes under way beside which none is begun early: there is time for it later."""


class Answer(Protocol):
    """What a fetch brings: a complete, plausible answer of the upstream."""

    @property
    def status(self) -> int: ...
    @property
    def content_type(self) -> str: ...
    @property
    def body(self) -> bytes: ...
    @property
    def seconds(self) -> float: ...
    @property
    def as_of(self) -> float | None:
        """The wall time of its oldest part; ``None``: now."""


class Fetch(Protocol):
    """Asks the upstream; raises ``UpstreamError``. Nobody waits for what is in the background."""

    def __call__(self, key: RequestKey, *, background: bool) -> Awaitable[Answer]: ...


@dataclass(frozen=True)
class Memory:
    """What the calls need of those who remember."""

    remember: Callable[[Entry, Entry | None], None]
    """Keep what was fetched here, in place of what was known, which may be from the future."""
    adopt: Callable[[Entry], None]
    """Keep what another process fetched, and writes down itself."""
    usable: Callable[[RequestKey, Entry], bool]
    """Whether an answer that was fetched before may be given as a new one."""
    purged: Callable[[RequestKey, Entry], bool]
    """Whether the operator does not want that answer any more."""
    disbelieved: Callable[[RequestKey], None]
    """Count that a list was suddenly empty."""


class Fetches:
    """The calls under way. ``wall`` counts from 1970, ``clock`` is monotonic."""

    def __init__(
        self,
        fetch: Fetch,
        *,
        flights: Flights,
        memory: Memory,
        wall: Callable[[], float],
        clock: Callable[[], float],
    ) -> None:
        self._fetch = fetch
        self._flights = flights
        self._memory = memory
        self._wall = wall
        self._clock = clock
        self._wanted: FlightTable[Entry] = FlightTable()
        self._behind: FlightTable[Entry] = FlightTable()
        self._failed: TTLCache[str, UpstreamError] = TTLCache(10_000, RETRY_PAUSE, timer=clock)
        self._doubts: TTLCache[str, Doubt] = TTLCache(10_000, 3600.0, timer=clock)

    def failure(self, key: RequestKey) -> UpstreamError | None:
        """Why the upstream is left alone about ``key`` for the moment."""
        failed = self._failed.get(key.digest)
        return None if failed is None else failed.with_traceback(None)

    def under_way(self, key: RequestKey, known: Entry | None) -> bool:
        """Whether ``wanted`` would join a call and not make one."""
        return key.digest in self._wanted or (known is not None and key.digest in self._behind)

    def wanted(self, key: RequestKey, known: Entry | None) -> asyncio.Task[Entry]:
        """The call for somebody who waits. What merely refreshes is joined only by those who have
        something to fall back on: it lets everybody else go first."""
        if known is not None and key.digest not in self._wanted and key.digest in self._behind:
            return self._behind.start(key.digest, lambda: self._fly(key, True, known))
        return self._wanted.start(key.digest, lambda: self._fly(key, False, known))

    def refresh(self, key: RequestKey, known: Entry, *, early: bool = False) -> None:
        """Ask behind the client's back, unless that is being done or has just failed.

        ``early``: it is still fresh; not if others have a better reason.
        """
        if early and len(self._behind) >= EARLY_AT_ONCE:
            return
        if key.digest not in self._failed and key.digest not in self._wanted:
            self._behind.start(key.digest, lambda: self._fly(key, True, known))

    def took_too_long(self, key: RequestKey) -> UpstreamError:
        """Note that somebody would not wait any longer for ``key``; the error to tell."""
        late = self._failed[key.digest] = UpstreamTimeout("The upstream takes its time.")
        return late

    async def aclose(self) -> None:
        """End what is under way."""
        await self._wanted.aclose()
        await self._behind.aclose()

    async def _fly(self, key: RequestKey, background: bool, known: Entry | None) -> Entry:
        async def work() -> Entry | UpstreamError:
            try:
                return await self._ask(key, background, known)
            except UpstreamError as error:
                return error

        code = _Code(key, known, self._memory)
        result = await self._flights.fly(key.digest, work, code)
        if isinstance(result, UpstreamError):
            # A copy: the error itself holds on to all that was read until it was raised.
            self._failed[key.digest] = UpstreamError(result.detail, retry_after=result.retry_after)
            raise result
        if result.status >= 500:
            self._failed[key.digest] = UpstreamError(f"The upstream answered {result.status}.")
        return result

    async def _ask(self, key: RequestKey, background: bool, known: Entry | None) -> Entry:
        answer = await self._fetch(key, background=background)
        entry = self._entry(key, answer)
        if known is not None and known.status == entry.status == 200:
            self._doubt(key, known, entry)
        if is_storable(entry.status):
            self._memory.remember(entry, known)
        return entry

    def _doubt(self, key: RequestKey, known: Entry, entry: Entry) -> None:
        """Raise if ``entry`` is a list that is suddenly empty, and that is not yet believed."""
        sudden = is_suddenly_empty(known.body, entry.body)
        if not sudden or self._memory.purged(key, known):
            self._doubts.pop(key.digest, None)
            return
        before, now = self._doubts.get(key.digest), self._clock()
        doubt = Doubt(now) if before is None else before.again()
        if doubt.is_over(now):
            del self._doubts[key.digest]
            return
        self._doubts[key.digest] = doubt
        self._memory.disbelieved(key)
        if before is None:
            _log.warning("a list that was full is empty: not believed yet", question=key.title)
        raise UpstreamImplausible("A list that was full is suddenly empty.")

    def _entry(self, key: RequestKey, answer: Answer) -> Entry:
        return Entry(
            key=key.digest,
            target=key.title,
            status=answer.status,
            content_type=answer.content_type,
            body=answer.body,
            etag=tag_body(answer.body),
            stored_at=self._wall() if answer.as_of is None else answer.as_of,
            fetch_seconds=answer.seconds,
        )


class _Code:
    """How an answer to ``key`` is handed from one process to another."""

    def __init__(self, key: RequestKey, known: Entry | None, memory: Memory) -> None:
        self._key = key
        self._known = known
        self._memory = memory

    def pack(self, result: Entry | UpstreamError) -> bytes | None:
        return pack(result)

    def read(self, packed: bytes, *, awaited: bool) -> Entry | UpstreamError | None:
        try:
            result = unpack(packed)
        except ValueError:
            return None
        if isinstance(result, UpstreamError):
            return result if awaited else None
        if result.key != self._key.digest or not (awaited or self._is_newer(result)):
            return None
        if is_storable(result.status):
            self._memory.adopt(result)
        return result

    def is_news(self, result: Entry | UpstreamError) -> bool:
        return isinstance(result, Entry) and is_storable(result.status)

    def _is_newer(self, entry: Entry) -> bool:
        newer = self._known is None or entry.stored_at > self._known.stored_at
        return newer and self._memory.usable(self._key, entry)

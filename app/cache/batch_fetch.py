"""Asks for lists of ids in parts, and only for those whose rows are not known.

A ``Fetch`` around another one: the cache in front of it knows nothing of parts and rows, and the
upstream behind it is never asked for more ids at once than it is known to take.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import structlog
from cachetools import TTLCache

from app.cache.batches import Batch, read_batch
from app.cache.emptied import FULL, Doubt
from app.cache.fetches import Answer, Fetch
from app.cache.freshness import Policies, Verdict, jitter, judge
from app.cache.key import RequestKey
from app.cache.row_memory import Group, RowMemory
from app.cache.rows import Cut, Row, Unexpected, Unmergeable, cut, merge
from app.errors import UpstreamImplausible, UpstreamTimeout
from app.steps import in_steps

_log = structlog.get_logger(__name__)
AT_ONCE = 4
"""Parts of one question that are under way at the same time."""
MOST_CALLS = 64
"""Calls that one question may cost; at 500 ids each that is many more than a client can send."""
WHOLE_FOR = 600.0
"""Seconds for which questions of a shape are asked as they are after an answer was unexpected."""
_LAST_PART = 0.1
"""What is fetched behind a client's back is to last: rows in this last part of their fresh time
are asked for again then."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """An ``Answer`` that may be older than the call: ``as_of`` is the wall time of its oldest row.

    ``None``: it is as of now. ``as_of - seconds`` is when the oldest row was asked for.
    """

    status: int
    content_type: str
    body: bytes
    seconds: float
    as_of: float | None = None


@dataclass
class _Work:
    """One question that is being asked in parts."""

    batch: Batch
    background: bool
    slots: asyncio.Semaphore
    calls: int = 0


@dataclass(frozen=True, slots=True)
class _Piece:
    """The answer to one part."""

    cut: Cut
    stored_at: float
    seconds: float


class _OtherStatusError(Exception):
    """Raised when a part was answered with another status than 200: that is the answer then."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


class BatchFetch:
    """Around ``fetch``. Rows take up to ``memory_bytes``; no question takes over ``patience``
    seconds in all. Rows that were asked for at or before ``not_before(key)``, in wall time, are
    not used for the question ``key``.
    """

    def __init__(
        self,
        fetch: Fetch,
        *,
        policies: Policies,
        memory_bytes: int,
        patience: float,
        not_before: Callable[[RequestKey], float],
        wall: Callable[[], float],
        clock: Callable[[], float],
    ) -> None:
        self.memory = RowMemory(memory_bytes)
        self._fetch = fetch
        self._policies = policies
        self._patience = patience
        self._not_before = not_before
        self._wall = wall
        self._clock = clock
        self._whole: TTLCache[str, bool] = TTLCache(1_000, WHOLE_FOR, timer=clock)
        self._doubts: TTLCache[str, Doubt] = TTLCache(1_000, 3600.0, timer=clock)

    async def __call__(self, key: RequestKey, *, background: bool) -> Fetched:
        """The answer to ``key``; raises ``UpstreamError``."""
        batch = read_batch(key)
        if batch is None or batch.shape in self._whole:
            return _passed(await self._fetch(key, background=background))
        known = self._known(key, batch, background)
        if not known and len(batch.parts(list(batch.ids))) == 1:
            return await self._as_it_is(key, batch, background)
        try:
            async with asyncio.timeout(self._patience):
                return await self._in_parts_or_whole(key, batch, known, background)
        except TimeoutError:
            raise UpstreamTimeout("not all parts were there in time") from None

    def _known(self, key: RequestKey, batch: Batch, background: bool) -> dict[str, Group]:
        """The groups that need not be asked for."""
        now, not_before, stretch = self._wall(), self._not_before(key), jitter(key.digest)
        good, none = (self._policies.of(batch.operation.freshness, one) for one in (200, 404))
        absent = none if none.fresh < good.fresh else good
        found = {}
        for one in batch.ids:
            group = self.memory.get(batch.shape, one)
            if group is None or group.asked_at <= not_before:
                continue
            policy = good if group.rows else absent
            judged = judge(group.stored_at, policy, now, stretch)
            lasts = policy.fresh * _LAST_PART if background else 0.0
            if judged.verdict is Verdict.FRESH and judged.ttl > lasts:
                found[one] = group
        return found

    async def _as_it_is(self, key: RequestKey, batch: Batch, background: bool) -> Fetched:
        """One call for the whole question; its rows are remembered."""
        answer = await self._fetch(key, background=background)
        stored_at = self._wall()
        if answer.status == 200:
            try:
                found = await in_steps(cut(batch, batch.ids, answer.content_type, answer.body))
            except Unexpected as why:
                self._give_up(batch, why)
            else:
                complete = batch.skip == 0 and found.count < batch.take
                if complete and not self._is_doubtful(batch, batch.ids, found):
                    self._remember(batch, batch.ids, _Piece(found, stored_at, answer.seconds))
        return _passed(answer)

    async def _in_parts_or_whole(
        self, key: RequestKey, batch: Batch, known: Mapping[str, Group], background: bool
    ) -> Fetched:
        try:
            return await self._in_parts(batch, known, background)
        except _OtherStatusError as other:
            return _passed(other.answer)
        except Unexpected as why:
            self._give_up(batch, why)
        except Unmergeable as why:
            _log.info("asked as it is", operation=batch.operation.name, reason=str(why))
        return _passed(await self._fetch(key, background=background))

    async def _in_parts(
        self, batch: Batch, known: Mapping[str, Group], background: bool
    ) -> Fetched:
        work = _Work(batch, background, asyncio.Semaphore(AT_ONCE))
        missing = [one for one in batch.ids if one not in known]
        pieces = await self._ask(work, batch.parts(missing))
        try:
            return await _merged(batch, list(known.values()), pieces)
        except Unmergeable:
            if not known or len(batch.parts(list(batch.ids))) == 1:
                raise
        # What was known contradicts what came now: a hero has another owner, say.
        return await _merged(batch, [], await self._ask(work, batch.parts(list(batch.ids))))

    async def _ask(self, work: _Work, parts: Sequence[Sequence[str]]) -> list[_Piece]:
        """The answers to all ``parts``; the first failure ends them all."""
        tasks = [asyncio.create_task(self._part(work, ids)) for ids in parts]
        try:
            return [piece for pieces in await asyncio.gather(*tasks) for piece in pieces]
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _part(self, work: _Work, ids: Sequence[str]) -> list[_Piece]:
        """All rows of ``ids`` that may be in the page that is asked for."""
        if work.calls == MOST_CALLS:
            raise Unmergeable("it takes too many calls")
        work.calls += 1
        batch = work.batch
        async with work.slots:
            answer = await self._fetch(batch.key_of(ids), background=work.background)
        stored_at = self._wall()
        if answer.status != 200:
            raise _OtherStatusError(answer)
        found = await in_steps(cut(batch, set(ids), answer.content_type, answer.body))
        if self._is_doubtful(batch, ids, found):
            raise UpstreamImplausible("a list that was full is suddenly empty")
        piece = _Piece(found, stored_at, answer.seconds)
        if found.count < batch.page_size:
            self._remember(batch, ids, piece)
        elif batch.reach > batch.page_size:
            # There may be more rows behind these, and they may be in the page that is wanted.
            if len(ids) == 1:
                raise Unmergeable("one id has more rows than there are in a page")
            middle = len(ids) // 2
            return await self._ask(work, [ids[:middle], ids[middle:]])
        return [piece]

    def _remember(self, batch: Batch, ids: Collection[str], piece: _Piece) -> None:
        for one in ids:
            rows = tuple(piece.cut.groups.get(one, ()))
            group = Group(rows, piece.cut.frame, piece.stored_at, piece.seconds)
            self.memory.put(batch.shape, one, group)

    def _is_doubtful(self, batch: Batch, ids: Collection[str], found: Cut) -> bool:
        """Whether nothing came of what many rows are remembered of: see ``emptied``."""
        if found.count:
            self._doubts.pop(batch.shape, None)
            return False
        groups = (self.memory.get(batch.shape, one) for one in ids)
        if sum(len(group.rows) for group in groups if group) < FULL:
            return False
        before = self._doubts.get(batch.shape)
        doubt = before.again() if before else Doubt(self._clock())
        self._doubts[batch.shape] = doubt
        return not doubt.is_over(self._clock())

    def _give_up(self, batch: Batch, why: Unexpected) -> None:
        self._whole[batch.shape] = True
        _log.warning(
            "look-ups are asked as they are",
            operation=batch.operation.name,
            order=batch.order_by,
            reason=str(why),
            seconds=WHOLE_FOR,
        )


def _passed(answer: Answer) -> Fetched:
    return Fetched(answer.status, answer.content_type, answer.body, answer.seconds)


async def _merged(batch: Batch, known: Sequence[Group], pieces: Sequence[_Piece]) -> Fetched:
    rows: list[Row] = [row for group in known for row in group.rows]
    rows += [row for piece in pieces for group in piece.cut.groups.values() for row in group]
    frames = {group.frame for group in known} | {piece.cut.frame for piece in pieces}
    frame, body = await in_steps(merge(batch, frames, rows))
    times = {(one.stored_at, one.seconds) for one in known}
    times |= {(one.stored_at, one.seconds) for one in pieces}
    as_of = min(stored_at for stored_at, _ in times)
    asked_at = min(stored_at - seconds for stored_at, seconds in times)
    return Fetched(200, frame.content_type, body, as_of - asked_at, as_of)

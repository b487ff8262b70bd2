"""The log of changes as a Redis Stream, which other programs may read as well.

What stands in it, and how a consumer group reads it, is told in ``docs/reference/changes.md``.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import orjson

from app.coordination.link import FAILURES, RedisLink, reason_of
from app.coordination.patience import in_time
from app.errors import ContainerError, StoreError, StoreUnavailable
from app.records.change import KEEP, Change, CursorGone, Happened, Told
from app.records.change_text import pack_fields, read_fields

T = TypeVar("T")
_PATIENCE = 5.0
"""Seconds that one call may take, once Redis is up."""
_BLOCK = 1.0
"""Seconds for which a call that waits is left waiting."""
_TRIES = 16
_CURSOR = re.compile(r"(0|[1-9][0-9]{0,18})-(0|[1-9][0-9]{0,18})")
_FIELDS = ("kind", "id", "draft", "happened", "at", "fields", "row")

# How far the collection has come is compared by whoever appends: text sorts by the server's locale
# here. What is said is whether it was as expected, and how it is now.
_APPEND = """
local told = redis.call('HGET', KEYS[2], ARGV[1]) or ''
if told ~= ARGV[2] then
  return {0, told}
end
for at = 5, #ARGV, 6 do
  redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[4], '*', 'kind', ARGV[1], 'id', ARGV[at],
    'draft', ARGV[at + 1], 'happened', ARGV[at + 2], 'at', ARGV[at + 3], 'fields', ARGV[at + 4],
    'row', ARGV[at + 5])
end
redis.call('HSET', KEYS[2], ARGV[1], ARGV[3])
return {1, ARGV[3]}
"""

# In one piece: the client takes ten times as long over thousands of small ones.
_READ = """
return cjson.encode(redis.call('XRANGE', KEYS[1], ARGV[1], '+', 'COUNT', ARGV[2]))
"""


class RedisChangeLog:
    """A ``ChangeLog`` in the stream ``name``; a cursor is an entry's id.

    It wakes a Redis that sleeps, and keeps it up during a call. ``keep`` is rounded up by Redis
    to what it can drop at once.
    """

    def __init__(
        self, link: RedisLink, name: str, *, keep: int = KEEP, patience: float = _PATIENCE
    ) -> None:
        self.name = name
        self._link = link
        self._keep = keep
        self._patience = patience
        self._append = link.redis.register_script(_APPEND)
        self._range = link.redis.register_script(_READ)
        self._closed = False

    async def append(self, changes: Sequence[Change]) -> bool:
        if not changes:
            return True
        kind, draft = changes[0].kind, changes[0].draft
        told: Any = await self._ask(lambda: self._link.redis.hget(self._told, kind)) or b""
        for _ in range(_TRIES):
            newest, id_ = _place(told)
            if draft < newest:
                return False
            fresh = [change for change in changes if (draft, change.id) > (newest, id_)]
            if not fresh:
                return True
            place = f"{draft}:{max(change.id for change in fresh)}"
            values = [value for change in fresh for value in _values(change)]
            arguments: list[str | bytes | int] = [kind, told, place, self._keep, *values]
            done, told = await self._append_once(arguments)
            if done:
                return True
        raise StoreError(f"too many append to {self.name} at once")

    async def _append_once(self, arguments: list[str | bytes | int]) -> tuple[int, bytes]:
        keys = [self.name, self._told]
        done, told = await self._ask(lambda: self._append(keys, arguments))
        return done, told

    async def read(self, after: str, *, limit: int) -> list[Told]:
        if after and not _CURSOR.fullmatch(after):
            raise CursorGone(f"{after[:80]!r} is no cursor of this log of changes")
        # From the cursor itself on: if it is not there any more, nor may be what stood behind it.
        arguments: list[str | int] = [after or "-", limit + 1 if after else limit]
        packed: bytes = await self._ask(lambda: self._range([self.name], arguments))
        told = [self._told_of(entry, values) for entry, values in self._unpacked(packed)]
        if not after:
            return told
        if not told or told[0].cursor != after:
            raise CursorGone(f"the changes behind {after} are no longer kept")
        return told[1:]

    async def last(self) -> str:
        return await self._ask(self._newest)

    async def wait(self, after: str, *, within: float) -> bool:
        loop = asyncio.get_running_loop()
        until = loop.time() + within
        while True:
            left = until - loop.time()
            if await self._has_more(after, min(left, _BLOCK)):
                return True
            if left <= 0:
                return False

    async def aclose(self) -> None:
        self._closed = True

    @property
    def _told(self) -> str:
        """A hash: of each collection the draft and the id that were told last."""
        return f"{self.name}:told"

    async def _newest(self) -> str:
        found: Any = await self._link.redis.xrevrange(self.name, count=1)
        return found[0][0].decode() if found else ""

    async def _has_more(self, after: str, within: float) -> bool:
        if not self._link.door.is_open:
            # Nobody appends to what sleeps, and who waits does not wake it.
            await asyncio.sleep(max(0.0, within))
            return False
        # Redis may have lost what it knew, and then counts from elsewhere: it is looked at first.
        if await self._look(self._newest) != after:
            return True
        if within <= 0:
            return False
        block = max(1, int(within * 1000))
        streams: dict[Any, Any] = {self.name: after or "0-0"}
        return bool(await self._look(lambda: self._link.redis.xread(streams, count=1, block=block)))

    async def _ask(self, ask: Callable[[], Awaitable[T]]) -> T:
        try:
            with await self._link.door.open():
                return await self._look(ask)
        except ContainerError as error:
            raise StoreUnavailable(f"the changes in redis: {error.detail}") from error

    async def _look(self, ask: Callable[[], Awaitable[T]]) -> T:
        if self._closed:
            raise StoreUnavailable(f"{self.name} was closed")
        try:
            return await in_time(ask, self._patience)
        except FAILURES as error:
            reason = reason_of(error, self._patience)
            raise StoreUnavailable(f"the changes in redis: {reason}") from error

    def _unpacked(self, packed: bytes) -> list[tuple[str, list[str]]]:
        try:
            # An empty list is an empty object to who packed it.
            return orjson.loads(packed) or []
        except ValueError as error:
            raise StoreError(f"{self.name} holds what is no change of ours: {error}") from error

    def _told_of(self, cursor: str, values: list[str]) -> Told:
        named = dict(zip(values[::2], values[1::2], strict=True))
        try:
            kind, id_, draft, happened, at, fields, row = (named[name] for name in _FIELDS)
            change = Change(
                kind,
                id_,
                int(draft),
                Happened(happened),
                float(at),
                row.encode(),
                read_fields(fields),
            )
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            raise StoreError(f"{self.name} {cursor} is no change of ours: {error!r}") from error
        return Told(cursor, change)


def _place(told: bytes) -> tuple[int, str]:
    draft, _, id_ = told.partition(b":")
    return (int(draft), id_.decode()) if draft else (-1, "")


def _values(change: Change) -> tuple[str | bytes, ...]:
    """As the script takes them: without the kind, which is the same for all."""
    fields = pack_fields(change.fields)
    return (
        change.id,
        str(change.draft),
        change.happened.value,
        repr(change.at),
        fields,
        change.row,
    )

"""One process at a time fetches what several want: a lead with a lease, taken in Redis.

Who takes the lead does the work, renews the lease meanwhile, and lands: leaves what it brought for
a few seconds and says so. The others wait for the word, hold no connection, and look again now and
then in case it is lost. When the leader dies its lease runs out, and the first who looks leads.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from typing import NamedTuple, Protocol, TypeVar

from app.coordination.errands import Errands
from app.coordination.link import RENEW, Away, RedisLink
from app.waiting import set_within

T = TypeVar("T")
LEASE = 3.0
"""Seconds for which a leader need not be heard of: more than a loop that is flooded with new
connections is kept from renewing it, less than a client waits."""
LOOK_AGAIN = 0.5
"""Seconds after which one who waits looks by itself."""
KEPT = 15.0
"""Seconds for which what was brought lies ready: also for one who was too busy to look."""
_TOKEN = 16
_MOST = 1024
"""Landings that are written at once; more are not told, and those who wait find out."""

# A landing of the flight that was waited for is taken without trying for the lead.
_CLAIM = """
local landed = redis.call('GET', KEYS[2])
if landed and ARGV[3] ~= '' and string.sub(landed, 1, string.len(ARGV[3])) == ARGV[3] then
  return {0, '', landed}
end
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then
  return {1, ARGV[1], landed or ''}
end
return {0, redis.call('GET', KEYS[1]) or '', landed or ''}
"""
_LAND = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
redis.call('DEL', KEYS[1])
if ARGV[2] ~= '' then
  redis.call('SET', KEYS[2], ARGV[1] .. ARGV[2], 'PX', ARGV[3])
end
redis.call('PUBLISH', ARGV[4], ARGV[5])
return 1
"""


class Code(Protocol[T]):
    """How what a flight brings becomes bytes and is read from them; see ``app/cache``."""

    def pack(self, result: T) -> bytes | None: ...
    def read(self, packed: bytes, *, awaited: bool) -> T | None: ...
    def is_news(self, result: T) -> bool: ...


class _Claim(NamedTuple):
    leads: int
    leader: bytes
    landed: bytes


class SharedFlights:
    """``name`` tells this process from others; keys in Redis begin with ``prefix``."""

    def __init__(self, link: RedisLink, *, prefix: str, channel: str, name: str) -> None:
        self._link = link
        self._prefix = prefix
        self._channel = channel
        self._name = name
        self._claim = link.redis.register_script(_CLAIM)
        self._renew = link.redis.register_script(RENEW)
        self._land = link.redis.register_script(_LAND)
        self.following: set[str] = set()
        """What another process is fetching for this one."""
        self._waiting: dict[str, asyncio.Event] = {}
        self._landings = Errands("landing", _MOST)

    async def fly(self, key: str, work: Callable[[], Awaitable[T]], code: Code[T]) -> T:
        """Do ``work``, or take over what another process brought. One at a time for each key."""
        token, followed = secrets.token_hex(_TOKEN // 2).encode(), b""
        word = self._waiting[key] = asyncio.Event()
        try:
            while True:
                word.clear()
                try:
                    claim = await self._claimed(key, token, followed)
                except Away:
                    self.following.discard(key)
                    return await work()
                result = self._read(claim.landed, followed, code)
                if result is not None:
                    if claim.leads:
                        self._landings.begin(self._end_flight(key, token, None, ""))
                    return result
                if claim.leads:
                    self.following.discard(key)
                    return await self._lead(key, token, work, code)
                followed = claim.leader
                self.following.add(key)
                await set_within(word, LOOK_AGAIN)
        finally:
            self.following.discard(key)
            del self._waiting[key]

    def heard_of(self, key: str) -> bool:
        """Word came that a flight for ``key`` has landed; whether somebody waited for it."""
        word = self._waiting.get(key)
        if word is not None:
            word.set()
        return word is not None

    async def landed(self, key: str) -> bytes | None:
        """What a flight brought, while it lies ready. Raises ``Away``."""
        packed = await self._link.look(lambda: self._link.redis.get(self._key("landed", key)))
        return packed[_TOKEN:] if isinstance(packed, bytes) else None

    async def aclose(self) -> None:
        """Wait until what has landed is told; each waits for Redis a moment at most."""
        await self._landings.finish()

    async def _lead(
        self, key: str, token: bytes, work: Callable[[], Awaitable[T]], code: Code[T]
    ) -> T:
        packed, news = None, "over"
        working = asyncio.ensure_future(work())
        try:
            while not (await asyncio.wait({working}, timeout=LEASE / 4))[0]:
                await self._stay(key, token)
            result = working.result()
            packed, news = code.pack(result), "landed" if code.is_news(result) else "over"
        finally:
            if not working.done():
                working.cancel()
                await asyncio.gather(working, return_exceptions=True)
            # Nobody who waits for the answer waits for Redis to hear of it.
            self._landings.begin(self._end_flight(key, token, packed, news))
        return result

    async def _stay(self, key: str, token: bytes) -> None:
        keys: list[str] = [self._key("flight", key)]
        arguments: list[bytes | int] = [token, _ms(LEASE)]
        try:
            await self._link.call(lambda: self._renew(keys, arguments))
        except Away:
            # Somebody else may lead now and do the same work: one call too many, no harm.
            return

    async def _end_flight(self, key: str, token: bytes, packed: bytes | None, news: str) -> None:
        keys = [self._key("flight", key), self._key("landed", key)]
        told = f"{news or 'over'} {key} {self._name}"
        arguments: list[bytes | str | int]
        arguments = [token, packed or b"", _ms(KEPT), self._channel, told]
        try:
            await self._link.call(lambda: self._land(keys, arguments))
        except Away:
            # The lease runs out by itself.
            return

    async def _claimed(self, key: str, token: bytes, followed: bytes) -> _Claim:
        keys = [self._key("flight", key), self._key("landed", key)]
        arguments: list[bytes | int] = [token, _ms(LEASE), followed]
        return _Claim(*await self._link.call(lambda: self._claim(keys, arguments)))

    def _read(self, landed: bytes, followed: bytes, code: Code[T]) -> T | None:
        if not landed:
            return None
        awaited = bool(followed) and landed.startswith(followed)
        return code.read(landed[_TOKEN:], awaited=awaited)

    def _key(self, kind: str, key: str) -> str:
        return f"{self._prefix}:{kind}:{key}"


def _ms(seconds: float) -> int:
    return int(seconds * 1000)

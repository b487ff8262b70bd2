"""A key in Redis that one process holds as long as it lives: taken, renewed, given back.

Who holds it has put a secret there. Whoever dies renews it no more, and it runs out.
"""

from __future__ import annotations

import asyncio
import math
import secrets
from collections.abc import Callable

from app.coordination.link import Away, RedisLink

_RENEW = """
local holder = redis.call('GET', KEYS[1])
if holder == ARGV[1] then
  return redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
if not holder and ARGV[3] == '1' then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
  return 1
end
return 0
"""
_GIVE_BACK = """
if redis.call('GET', KEYS[1]) == ARGV[1] then
  redis.call('DEL', KEYS[1])
end
"""


class Lease:
    """The key ``key``, for ``seconds`` after it was last heard of; owns one task while held.

    ``token`` is what is put there, which nobody else ever puts. ``take_again``: when the key is
    gone (Redis was restarted, or away for long) and nobody has taken it since, it is ours as
    before. ``on_lost`` is called once, with the reason, when it is ours no more; it must not raise
    or block.
    """

    def __init__(
        self,
        link: RedisLink,
        key: str,
        *,
        seconds: float,
        token: str | None = None,
        take_again: bool = False,
        on_lost: Callable[[str], None] | None = None,
    ) -> None:
        self.token = token or secrets.token_hex(8)
        self._link = link
        self._key = key
        self._seconds = seconds
        self._take_again = take_again
        self._on_lost = on_lost
        self._renewing: asyncio.Task[None] | None = None
        self._ours_until = -math.inf
        self._renew = link.redis.register_script(_RENEW)
        self._return = link.redis.register_script(_GIVE_BACK)

    @property
    def holds(self) -> bool:
        """Whether it is ours still, and for another moment."""
        return asyncio.get_running_loop().time() < self._ours_until

    async def take(self) -> bool:
        """Whether it is ours now. Raises ``Away``."""
        until = self._soon()
        milliseconds = int(self._seconds * 1000)
        taken = await self._link.look(
            lambda: self._link.redis.set(self._key, self.token, nx=True, px=milliseconds)
        )
        if taken:
            self._ours_until = until
            self._renewing = asyncio.create_task(self._stay(), name="lease")
        return bool(taken)

    def let_run_out(self) -> None:
        """Renew it no more."""
        if self._renewing is not None:
            self._renewing.cancel()

    async def give_back(self) -> bool:
        """Let it go; if Redis is away, it runs out. Whether there was anything to let go, and
        Redis heard of it.
        """
        if self._renewing is None:
            return False
        self._renewing.cancel()
        await asyncio.gather(self._renewing, return_exceptions=True)
        self._ours_until = -math.inf
        try:
            await self._link.look(lambda: self._return([self._key], [self.token]))
        except Away:
            return False
        return True

    async def _stay(self) -> None:
        again = "1" if self._take_again else "0"
        arguments: list[str | int] = [self.token, int(self._seconds * 1000), again]
        while True:
            await asyncio.sleep(self._seconds / 5)
            until = self._soon()
            try:
                renewed = await self._link.look(lambda: self._renew([self._key], arguments))
            except Away as away:
                if self._on_lost is not None and not self.holds:
                    self._on_lost(f"Redis could not be asked for {self._seconds:g} s: {away}")
                    return
                continue
            self._ours_until = until if renewed else -math.inf
            if not renewed and self._on_lost is not None:
                self._on_lost("somebody else has taken it")
                return

    def _soon(self) -> float:
        """When a lease that begins now is nearly over."""
        return asyncio.get_running_loop().time() + self._seconds * 0.8

"""Everything that processes do together, in one part to open and close."""

from __future__ import annotations

import math
import secrets
from contextlib import AsyncExitStack
from typing import Protocol

from app.coordination.company import Company, Member
from app.coordination.errands import Errands
from app.coordination.flights import SharedFlights
from app.coordination.link import Away, RedisLink
from app.coordination.news import News

_MOST_TAKEN_OVER = 64
"""Answers fetched from Redis at once; others stay as they are here until they are stale."""


class Listener(Member, Protocol):
    """What a process does about what others tell. Must not raise or block."""

    def holds(self, key: str) -> bool:
        """Whether an answer to ``key`` is here that a newer one could replace."""

    def landed(self, packed: bytes) -> None:
        """Another process fetched an answer that is held here."""

    def paused(self, seconds: float, status: int) -> None:
        """The upstream asked another process for quiet, with that status."""


class Together:
    """This process among those that use the same Redis and the same ``realm``.

    ``join`` it inside the running loop.
    """

    def __init__(self, link: RedisLink, *, realm: str) -> None:
        self.name = secrets.token_hex(6)
        self._channel = f"{realm}:news"
        self._realm = realm
        self.link = link
        self.flights = SharedFlights(self.link, prefix=realm, channel=self._channel, name=self.name)
        self._errands = Errands("errand", _MOST_TAKEN_OVER)
        self._parts = AsyncExitStack()

    async def join(self, listener: Listener) -> None:
        """Begin to tell and to listen; ``aclose`` ends it."""
        self._listener = listener
        self._company = Company(
            self.link, listener, prefix=self._realm, channel=self._channel, name=self.name
        )
        self.news = News(self.link, self._channel, self._hear, on_listening=self._company.look_now)
        await self._parts.enter_async_context(self._company)
        await self._parts.enter_async_context(self.news)

    async def aclose(self) -> None:
        """Tell what is untold, and leave."""
        await self._parts.aclose()
        await self._errands.aclose()
        await self.flights.aclose()

    def write(self, line: bytes) -> None:
        """Have ``line`` read by every other process, also by those that are deaf just now."""
        self._company.write(line)

    def tell_pause(self, seconds: float, status: int) -> None:
        """The upstream asked us for quiet: whoever hears it keeps quiet too."""
        self._errands.begin(self._tell(f"pause {seconds:.3f} {status} {self.name}"))

    def _hear(self, first: str, others: list[str]) -> None:
        match first, others:
            case "written", []:
                self._company.look_now()
            case "landed", [key, name] if not self.flights.heard_of(key) and name != self.name:
                if self._listener.holds(key):
                    self._errands.begin(self._take_over(key))
            case "over", [key, _]:
                self.flights.heard_of(key)
            case "pause", [seconds, status, name] if name != self.name:
                self._hear_pause(seconds, status)

    def _hear_pause(self, seconds: str, status: str) -> None:
        try:
            quiet, code = float(seconds), int(status)
        except ValueError:
            return
        if math.isfinite(quiet):
            self._listener.paused(quiet, code)

    async def _take_over(self, key: str) -> None:
        try:
            packed = await self.flights.landed(key)
        except Away:
            return
        if packed:
            self._listener.landed(packed)

    async def _tell(self, message: str) -> None:
        try:
            await self.link.call(lambda: self.link.redis.publish(self._channel, message))
        except Away:
            return

"""This gateway among others that share a Redis: what it does about what they tell, and tells them.

The cache, the upstream and the meeting place do not know each other; here they meet.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import structlog

from app.cache.handover import unpack
from app.cache.purges import Purge, Purges, Scope
from app.cache.response_cache import ResponseCache
from app.cache.store import Entry
from app.upstream.client import UpstreamClient

if TYPE_CHECKING:
    # It takes 6 MB, and most gateways have no Redis.
    from app.coordination.together import Together

_log = structlog.get_logger(__name__)


class Membership:
    """Hears what the others tell (``app.coordination.together.Listener``) and acts on it here.

    ``wall`` counts seconds since 1970.
    """

    def __init__(
        self, cache: ResponseCache, upstream: UpstreamClient, wall: Callable[[], float]
    ) -> None:
        self.processes = 1
        """How many gateways live, this one included; the last figure while nobody can say."""
        self._cache = cache
        self._upstream = upstream
        self._wall = wall

    def counted(self, processes: int) -> None:
        """The calls to the upstream that may be under way are shared out evenly."""
        if processes != self.processes:
            _log.info("gateways that share redis", processes=processes, before=self.processes)
            self.processes = processes
            self._upstream.share(processes)

    def read(self, line: bytes) -> None:
        """Another gateway was told to forget something."""
        try:
            purges = Purges.load(line)
        except ValueError:
            _log.warning("a purge of another process cannot be read; everything is stale now")
            self.missed()
            return
        for purge in purges:
            self._cache.purge(purge)

    def missed(self) -> None:
        """Something was purged and nobody knows what: everything is looked at anew."""
        self._cache.purge(Purge(Scope.ALL, "", self._wall()))

    def holds(self, key: str) -> bool:
        """Whether a newer answer to ``key`` would be of use in memory here."""
        return self._cache.memory.look(key) is not None

    def landed(self, packed: bytes) -> None:
        """Another gateway has fetched what is in memory here."""
        try:
            answer = unpack(packed)
        except ValueError:
            _log.warning("an answer of another process cannot be read")
            return
        if isinstance(answer, Entry):
            self._cache.adopt(answer)

    def paused(self, seconds: float, status: int) -> None:
        """The upstream asked another gateway for quiet, and means all of us."""
        self._upstream.pause(seconds, status)


def purge_everywhere(cache: ResponseCache, together: Together | None) -> Callable[[Purge], None]:
    """A purge that counts here at once, and in the other gateways as soon as they hear of it."""

    def purge(wanted: Purge) -> None:
        cache.purge(wanted)
        if together is not None:
            together.write(Purges([wanted]).dump())

    return purge

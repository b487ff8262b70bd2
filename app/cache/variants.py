"""Encoded bodies: made once, on first demand, and kept beside the memory tier."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from cachetools import LRUCache

from app.cache.encoding import WORTH_IT, Encoding, encode
from app.cache.flight import FlightTable
from app.cache.store import Entry

_OVERHEAD = 200
_AT_ONCE = 16 * 1024
"""Bodies below so many bytes are encoded in passing: a thread would cost more than that."""

_Key = tuple[str, str, Encoding]


class Variants:
    """The encoded bodies used last, ``max_bytes`` of them; ``aclose`` ends what is being made.

    They go by entry and tag, so that a new body never meets an old variant. That an encoding
    gains nothing is remembered too. Only variants of entries that are ``wanted`` are kept, so
    that a scan does not push out those of what is asked for often.
    """

    def __init__(self, max_bytes: int, wanted: Callable[[Entry], bool] = lambda _: True) -> None:
        self._wanted = wanted
        self._bodies: LRUCache[_Key, bytes | None] = LRUCache(
            max_bytes, getsizeof=lambda body: _OVERHEAD + len(body or b"")
        )
        self._flights: FlightTable[bytes | None] = FlightTable()

    @property
    def size(self) -> int:
        """Bytes that are kept."""
        return int(self._bodies.currsize)

    def is_made(self, entry: Entry, encoding: Encoding | None) -> bool:
        """Whether ``of`` would answer without making anything."""
        if encoding is None or len(entry.body) < WORTH_IT:
            return True
        return (entry.key, entry.etag, encoding) in self._bodies

    def made(self, entry: Entry, encoding: Encoding | None) -> bytes | None:
        """What ``of`` gives, of a variant that is made."""
        if encoding is None or len(entry.body) < WORTH_IT:
            return None
        return self._bodies[entry.key, entry.etag, encoding]

    async def of(self, entry: Entry, encoding: Encoding | None) -> bytes | None:
        """The body of ``entry`` in that encoding; ``None`` where identity serves better."""
        if encoding is None or self.is_made(entry, encoding):
            return self.made(entry, encoding)
        key = (entry.key, entry.etag, encoding)
        flight = f"{entry.key} {entry.etag} {encoding}"
        return await self._flights.join(flight, lambda: self._make(entry, key))

    async def aclose(self) -> None:
        """End what is being made."""
        await self._flights.aclose()

    async def _make(self, entry: Entry, key: _Key) -> bytes | None:
        if len(entry.body) < _AT_ONCE:
            made = encode(entry.body, key[2])
        else:
            made = await asyncio.to_thread(encode, entry.body, key[2])
        body = made if len(made) < len(entry.body) else None
        if _OVERHEAD + len(body or b"") <= self._bodies.maxsize and self._wanted(entry):
            self._bodies[key] = body
        return body

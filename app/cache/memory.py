"""The memory tier: the answers asked for last, in front of everything that costs.

It belongs to one event loop and never waits, so it needs no lock; a hit costs about a microsecond.
It keeps the promises of ``store.py`` except to outlive the process.
"""

from __future__ import annotations

from cachetools import Cache, LRUCache

from app.cache.store import Entry, StoreStats

_OVERHEAD = 600
"""Bytes that an entry takes besides its body and its target, by measurement (test_memory.py)."""
_LARGEST_SHARE = 4
"""An entry over this part (a quarter) of the tier would push out too many others."""


def _weight(entry: Entry) -> int:
    return len(entry.body) + len(entry.target) + _OVERHEAD


class MemoryTier:
    """The entries used last whose weights together are at most ``max_bytes``.

    An entry that weighs over a quarter of that is not admitted.
    """

    def __init__(self, max_bytes: int) -> None:
        self._entries: LRUCache[str, Entry] = LRUCache(max_bytes, getsizeof=_weight)
        self._largest = max_bytes // _LARGEST_SHARE

    def get(self, key: str) -> Entry | None:
        """The entry for ``key`` if it is here; it counts as used now."""
        try:
            return self._entries[key]
        except KeyError:
            return None

    def put(self, entry: Entry) -> None:
        """Keep ``entry``, unless a later one is here or it is too large to be admitted.

        An entry that is too large still drives out the older one of its key.
        """
        known = self.get(entry.key)
        if known is not None and known.stored_at > entry.stored_at:
            return
        if _weight(entry) > self._largest:
            self.delete(entry.key)
        else:
            self._entries[entry.key] = entry

    def delete(self, key: str) -> bool:
        """Forget ``key``; whether it was here."""
        return self._entries.pop(key, None) is not None

    def clear(self) -> int:
        """Forget everything; how many entries there were."""
        count = len(self._entries)
        self._entries.clear()
        return count

    def prune(self, stored_before: float) -> int:
        """Forget what was stored before that wall time; how many entries that were."""
        # Through the base class, because a look is not a use: it must not change the order.
        look = Cache[str, Entry].__getitem__
        old = [key for key in self._entries if look(self._entries, key).stored_at < stored_before]
        for key in old:
            self.delete(key)
        return len(old)

    def stats(self) -> StoreStats:
        """How many entries are here, and what counts against ``max_bytes``; costs nothing."""
        return StoreStats(len(self._entries), int(self._entries.currsize))

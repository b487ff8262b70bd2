"""The memory tier: the answers asked for most, in front of everything that costs.

It belongs to one event loop and never waits, so it needs no lock; a hit costs about a microsecond.
It keeps the promises of ``store.py`` except two: it does not outlive the process, and when it is
full it does not keep everything that is put (``admission.py``), which is in the store anyway.
"""

from __future__ import annotations

from collections import OrderedDict
from itertools import chain, islice

from app.cache.admission import Popularity, contest
from app.cache.leases import Leases
from app.cache.store import Entry, StoreStats

_OVERHEAD = 600
"""Bytes that an entry takes besides its body and its target, by measurement (test_memory.py)."""
_LARGEST_SHARE = 4
"""An entry over this part (a quarter) of the tier would push out too many others."""
_WINDOW_SHARE = 50
"""The part (2 %) that is for what came last, so that a burst is answered from memory."""

_LOOKED_AT = 4
"""How many for each that is wanted ``hottest`` looks at: it must not take long."""


def _weight(entry: Entry) -> int:
    return len(entry.body) + len(entry.target) + _OVERHEAD


class _Segment:
    """Entries in the order of their last use, and what they weigh together."""

    def __init__(self, leases: Leases) -> None:
        self.entries: OrderedDict[str, Entry] = OrderedDict()
        self.weight = 0
        self._leases = leases

    def put(self, entry: Entry) -> None:
        self.remove(entry.key)
        self.entries[entry.key] = entry
        self.weight += _weight(entry)

    def remove(self, key: str) -> Entry | None:
        entry = self.entries.pop(key, None)
        if entry is not None:
            self.weight -= _weight(entry)
            self._leases.end(key)
        return entry

    def remove_oldest(self) -> Entry:
        key, entry = self.entries.popitem(last=False)
        self.weight -= _weight(entry)
        self._leases.end(key)
        return entry


class MemoryTier:
    """Entries whose weights together are at most ``max_bytes``.

    While there is room everything is kept. After that a newcomer stays for a while among the
    last, and then takes the place of those used longest ago if it was asked for more often than
    each of them. An entry that weighs over a quarter of ``max_bytes`` is never admitted.
    """

    def __init__(self, max_bytes: int) -> None:
        self._largest = max_bytes // _LARGEST_SHARE
        self._window_size = max_bytes // _WINDOW_SHARE
        self._main_size = max_bytes - self._window_size
        self.leases = Leases()
        """On entries that are here: what is given up or replaced ends its lease."""
        self._window = _Segment(self.leases)
        self._main = _Segment(self.leases)
        self._popularity = Popularity(max_bytes)

    def get(self, key: str) -> Entry | None:
        """The entry for ``key`` if it is here; it counts as asked for, and as used now."""
        entries = self._main.entries
        entry = entries.get(key)
        if entry is None:
            entries = self._window.entries
            entry = entries.get(key)
            if entry is None:
                return None
        entries.move_to_end(key)
        self._popularity.hit(key, len(self._main.entries))
        return entry

    def look(self, key: str) -> Entry | None:
        """The entry for ``key`` if it is here; that is no use and changes nothing."""
        return self._main.entries.get(key) or self._window.entries.get(key)

    def put(self, entry: Entry) -> None:
        """Keep ``entry``, unless a later one is here, it is too large, or the tier is full of
        what is asked for more often.

        That a new key is put counts as asked for. An entry that is too large still drives out the
        older one of its key.
        """
        known = self.look(entry.key)
        if known is not None and known.stored_at > entry.stored_at:
            return
        weight = _weight(entry)
        if weight > self._largest:
            self.delete(entry.key)
            return
        if known is None:
            self._popularity.miss(entry.key, len(self._main.entries))
        if entry.key in self._main.entries:
            self._main.put(entry)
        elif weight <= self._window_size:
            self._window.put(entry)
        else:
            self._window.remove(entry.key)
            self._admit(entry)
        self._make_room()

    def delete(self, key: str) -> bool:
        """Forget ``key``; whether it was here."""
        return (self._main.remove(key) or self._window.remove(key)) is not None

    def clear(self) -> int:
        """Forget everything; how many entries there were."""
        count = self.stats().entries
        self.leases.end_all()
        self._window, self._main = _Segment(self.leases), _Segment(self.leases)
        return count

    def prune(self, stored_before: float) -> int:
        """Forget what was stored before that wall time; how many entries that were."""
        everything = chain(self._window.entries.values(), self._main.entries.values())
        old = [entry.key for entry in everything if entry.stored_at < stored_before]
        for key in old:
            self.delete(key)
        return len(old)

    def has_room(self, entry: Entry) -> bool:
        """Whether ``entry`` could be put without anything else having to go."""
        weight = _weight(entry)
        return weight <= self._largest and self.stats().size + weight <= self._main_size

    def hottest(self, count: int) -> list[str]:
        """``count`` keys of those used last, the one asked for most often first."""
        lately = islice(reversed(self._main.entries), _LOOKED_AT * count)
        recent = [*reversed(self._window.entries), *lately][: _LOOKED_AT * count]
        return sorted(recent, key=self._popularity.of, reverse=True)[:count]

    def stats(self) -> StoreStats:
        """How many entries are here, and what counts against ``max_bytes``; costs nothing."""
        count = len(self._main.entries) + len(self._window.entries)
        return StoreStats(count, self._main.weight + self._window.weight)

    def _make_room(self) -> None:
        while self._window.weight > self._window_size:
            self._admit(self._window.remove_oldest())
        while self._main.weight > self._main_size:
            self._main.remove_oldest()

    def _admit(self, newcomer: Entry) -> None:
        excess = self._main.weight + _weight(newcomer) - self._main_size
        residents = ((key, _weight(entry)) for key, entry in self._main.entries.items())
        result = contest(self._popularity, newcomer.key, excess, residents)
        for key in result.going:
            self._main.remove(key)
        if result.won:
            self._main.put(newcomer)
        elif result.defender is not None:
            # The next newcomer meets another one: a dead entry that shares the counters of
            # favourites would otherwise keep everybody out for as long as they are favourites.
            self._main.entries.move_to_end(result.defender)

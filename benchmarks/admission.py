"""The hit rate of the memory tier beside a plain LRU of the same size, with and without a scan.

Clients ask for 100,000 keys with answers of about 2 KB, by Zipf's law (exponent 1); the tier has
32 MB, room for an eighth of them. The scan asks for 1,000,000 keys once each: one after each of
the clients' requests, or all at once. Only the clients' requests count, and only once the tier is
full. Everything is seeded: two runs find the same.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator
from typing import Protocol

from cachetools import LRUCache

from app.cache.memory import MemoryTier
from app.cache.store import Entry
from benchmarks.result import Bar, Figure, Result

KEYS, REQUESTS, SCANNED = 100_000, 1_000_000, 1_000_000
TIER = 32_000_000
ALLOWED_LOSS = 0.02
"""How much of the hit rate a scan may take."""
_WARM_UP, _AFTERWARDS = 5, 20
"""The parts of the requests that fill the tier, and that come right after a scan."""
_TINY = 100
_OVERHEAD = 600
_BODIES = [bytes(size) for size in range(1_000, 3_000, 10)]
"""Shared, because it is their lengths that count."""


class Tier(Protocol):
    """What keeps entries."""

    def get(self, key: str) -> Entry | None: ...
    def put(self, entry: Entry) -> None: ...


class PlainLru:
    """What the tier was before: the entries used last, weighed alike."""

    def __init__(self, max_bytes: int) -> None:
        self._entries: LRUCache[str, Entry] = LRUCache(
            max_bytes, lambda entry: len(entry.body) + len(entry.target) + _OVERHEAD
        )

    def get(self, key: str) -> Entry | None:
        return self._entries.get(key)

    def put(self, entry: Entry) -> None:
        self._entries[entry.key] = entry


def run(tiny: bool) -> Result:
    """Hit rates by tier and workload; ``tiny`` takes a hundredth of everything."""
    part = _TINY if tiny else 1
    chance = random.Random(1)
    entries = [_entry(chance) for _ in range(KEYS // part)]
    weights = list(itertools.accumulate(1 / rank for rank in range(1, len(entries) + 1)))
    asked = chance.choices(entries, cum_weights=weights, k=REQUESTS // part)
    scanned = SCANNED // part
    lru = _rates(lambda: PlainLru(TIER // part), asked, scanned)
    ours = _rates(lambda: MemoryTier(TIER // part), asked, scanned)
    loss = ours["no scan"] - min(ours.values())
    bar = Bar(f"a scan takes at most {ALLOWED_LOSS}", f"{loss:.3f}", met=loss <= ALLOWED_LOSS)
    return Result("admission", (_row("plain LRU", lru), _row("drawbridge", ours)), (bar,))


def _row(tier: str, rates: dict[str, float]) -> dict[str, Figure]:
    return {"hit rate": tier, **rates}


def _rates(make: Callable[[], Tier], asked: list[Entry], scanned: int) -> dict[str, float]:
    return {
        "no scan": _rate(make(), asked, iter(())),
        "scan between": _rate(make(), asked, _scan(scanned)),
        "right after a scan": _rate_after_scan(make(), asked, _scan(scanned)),
    }


def _rate(tier: Tier, asked: list[Entry], scan: Iterator[Entry]) -> float:
    hits, warm = 0, len(asked) // _WARM_UP
    for number, entry in enumerate(asked):
        hit = _ask(tier, entry)
        hits += hit and number >= warm
        for other in itertools.islice(scan, 1):
            _ask(tier, other)
    return hits / (len(asked) - warm)


def _rate_after_scan(tier: Tier, asked: list[Entry], scan: Iterator[Entry]) -> float:
    last = len(asked) // _AFTERWARDS
    for entry in itertools.chain(asked[:-last], scan):
        _ask(tier, entry)
    return sum(_ask(tier, entry) for entry in asked[-last:]) / last


def _ask(tier: Tier, entry: Entry) -> bool:
    if tier.get(entry.key) is not None:
        return True
    tier.put(entry)
    return False


def _scan(count: int) -> Iterator[Entry]:
    chance = random.Random(2)
    return (_entry(chance) for _ in range(count))


def _entry(chance: random.Random) -> Entry:
    return Entry(
        key=f"{chance.getrandbits(128):032x}",
        target="GET /players/123456",
        status=200,
        content_type="application/json",
        body=chance.choice(_BODIES),
        etag='"0"',
        stored_at=0.0,
        fetch_seconds=0.1,
    )

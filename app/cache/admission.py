"""Who may come into a full memory tier: what was asked for more often than what must go. PURE.

The door of TinyLFU. How often a key was asked for is estimated by a count-min sketch: four small
counters for each key, shared with others, of which the lowest errs least. They are halved from
time to time, so that yesterday's favourites can be overtaken. What was asked for only once is not
counted at all, but remembered for a while by a Bloom filter: a scan of any length leaves next to
nothing in the counters, and makes nobody else's count fade.

Numbers: docs/decisions/0009-memory-admission.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from zlib import crc32

_SHARE = 256
"""The part of the tier's bytes that the counters take, and the filter as much again: 0.8 %."""
_BITS_PER_KEY = 16
"""How much of the filter a key may take before it is emptied: 1 in 1000 is known by mistake."""
_MOST = 15
"""Where a counter ends: more would only take longer to fade."""
_ASKS_PER_KEY = 10
"""After so many for each key that is here, all counts are halved."""
_COUNTERS_PER_ASK = 64
"""How many counters are worth halving for one ask: about 16 ns."""
_HALF = bytes(count // 2 for count in range(256))


class Popularity:
    """How often keys were asked for lately, for a tier of ``max_bytes``.

    A few bytes for each entry that fits, however many keys there are.
    """

    def __init__(self, max_bytes: int) -> None:
        self._size = max(64, max_bytes // _SHARE)
        # Four bits would do, but two in a byte would cost each hit more than they save.
        self._counters = bytearray(self._size)
        self._asks = 0
        self._seen = bytearray(self._size)
        self._seen_count = 0

    def hit(self, key: str, among: int) -> None:
        """``key`` was asked for and is here, one ``among`` so many."""
        self._count(crc32(key.encode()), among)

    def miss(self, key: str, among: int) -> None:
        """``key`` was asked for and is not here; it counts from the second time on."""
        mark = crc32(key.encode())
        if self._was_seen(mark):
            self._count(mark, among)

    def of(self, key: str) -> int:
        """How often ``key`` was asked for again, 0 to 15; rarely too high, for sharing."""
        mark = crc32(key.encode())
        step = mark >> 15 | 1
        return min(self._counters[(mark + row * step) % self._size] for row in range(4))

    def _was_seen(self, mark: int) -> bool:
        """Whether somebody asked for it before, a while ago at most; from now on, somebody did."""
        known, step = True, mark >> 15 | 1
        for row in range(3):
            place, bit = divmod((mark + row * step) % (8 * self._size), 8)
            if not self._seen[place] >> bit & 1:
                self._seen[place] |= 1 << bit
                known = False
        if not known:
            self._seen_count += 1
            if self._seen_count * _BITS_PER_KEY > 8 * self._size:
                self._seen, self._seen_count = bytearray(self._size), 0
        return known

    def _count(self, mark: int, among: int) -> None:
        # Written out, without loop and min(), because each hit comes by: 0.3 us instead of 0.8.
        counters, size, step = self._counters, self._size, mark >> 15 | 1
        first = mark % size
        second = (mark + step) % size
        third = (mark + 2 * step) % size
        fourth = (mark + 3 * step) % size
        one, two, three, four = counters[first], counters[second], counters[third], counters[fourth]
        least = one if one < two else two
        other = three if three < four else four
        least = least if least < other else other
        if least < _MOST:
            # Only the lowest: what the others have more is somebody else's.
            more = least + 1
            if one == least:
                counters[first] = more
            if two == least:
                counters[second] = more
            if three == least:
                counters[third] = more
            if four == least:
                counters[fourth] = more
        self._asks += 1
        if self._asks >= among * _ASKS_PER_KEY and self._asks >= self._size // _COUNTERS_PER_ASK:
            self._counters = counters.translate(_HALF)
            self._asks //= 2


@dataclass(frozen=True, slots=True)
class Contest:
    """How a contest for room ended: ``going`` make room for the newcomer, or it is not ``won``.

    ``defender`` is the resident that the newcomer could not beat.
    """

    won: bool
    going: tuple[str, ...] = ()
    defender: str | None = None


def contest(
    popularity: Popularity, newcomer: str, excess: int, residents: Iterable[tuple[str, int]]
) -> Contest:
    """Whether ``newcomer`` comes in, and which ``residents`` go for it.

    ``residents`` are keys with their weights, in the order in which they would go; together they
    must give back ``excess``. The newcomer has to beat each of them alone, not all of them
    together: counters end, so a large answer could not come in among many small ones however
    often it is asked for.
    """
    if excess <= 0:
        return Contest(won=True)
    asked = popularity.of(newcomer)
    if asked == 0:
        return Contest(won=False)
    going: list[str] = []
    for key, weight in residents:
        if asked <= popularity.of(key):
            return Contest(won=False, defender=key)
        going.append(key)
        excess -= weight
        if excess <= 0:
            return Contest(won=True, going=tuple(going))
    return Contest(won=False)

"""The right to give an answer again as it is, for a moment, without looking at anything.

To look an answer up and to judge it costs more than to send it. Who was given an answer that stays
good for a while gets a lease on it, and asks the clock instead. Whatever changes the answer before
that ends the lease at once: memory, when it gives the entry up or gets a newer one, and the cache,
when something is purged. PURE.
"""

from __future__ import annotations

import math
from typing import Protocol

from app.cache.outcome import Outcome

MOST = 4096
"""So many leases run at a time."""
MOST_HOLDERS = 256
"""So many may keep something by one lease."""
_OVER = -math.inf
_SWEEP = 1.0
"""Seconds after which leases that nobody asked for again are dropped."""


class Holder(Protocol):
    """Who keeps something of an answer for as long as a lease on it runs."""

    def let_go(self) -> None:
        """Keep it no longer."""


class Lease:
    """While the clock is before ``until``, ``outcome`` may be given as it is."""

    __slots__ = ("_holders", "outcome", "until")

    def __init__(self, outcome: Outcome, until: float = _OVER) -> None:
        self.outcome = outcome
        self.until = until
        self._holders: list[Holder] = []

    def hold(self, holder: Holder) -> bool:
        """Whether ``holder`` may keep something of the answer: not if it may not be given again, or
        very many do. It is told when that is over, or some time later if nobody asks again.
        """
        if self.until == _OVER or len(self._holders) >= MOST_HOLDERS:
            return False
        self._holders.append(holder)
        return True

    def end(self) -> None:
        """From now on it is over."""
        self.until = _OVER
        for holder in self._holders:
            holder.let_go()
        self._holders.clear()


class Leases:
    """All leases that run, one for a key."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._leases: dict[str, Lease] = {}
        self._sweep_at = _OVER

    def __len__(self) -> int:
        return len(self._leases)

    def get(self, key: str, now: float) -> Lease | None:
        """The lease on ``key``, if one runs."""
        lease = self._leases.get(key)
        return lease if lease is not None and now < lease.until else None

    def grant(self, outcome: Outcome, now: float, seconds: float) -> Lease:
        """A lease for so long; where that is no time, or there are too many already, one that is
        over at once.
        """
        key = outcome.entry.key
        self.end(key)
        if now >= self._sweep_at:
            self._sweep(now)
        if seconds <= 0 or len(self._leases) >= self._most:
            return Lease(outcome)
        lease = self._leases[key] = Lease(outcome, now + seconds)
        return lease

    def end(self, key: str) -> None:
        """Have ``key`` looked up again."""
        lease = self._leases.pop(key, None)
        if lease is not None:
            lease.end()

    def end_all(self) -> None:
        """Have everything looked up again."""
        for lease in self._leases.values():
            lease.end()
        self._leases.clear()

    def _sweep(self, now: float) -> None:
        self._sweep_at = now + _SWEEP
        for key in [key for key, lease in self._leases.items() if now >= lease.until]:
            self.end(key)

"""How much each client asked for lately, and whether it may ask for more. Counts in process."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, inf
from operator import itemgetter
from typing import NamedTuple

MOMENT = 0.1
"""Seconds for which units are lent."""
MAX_CLIENTS = 50_000
"""So many clients are counted; of more, the one that was quiet longest is forgotten."""

_OVER = -inf
_SECONDS = {
    "second": 1,
    "minute": 60,
    "hour": 3600,
    "day": 86_400,
    "month": 30 * 86_400,
    "year": 360 * 86_400,
}
_ONE = re.compile(
    rf"\s*(\d{{1,12}})\s*(?:/|per)\s*(\d{{1,6}})?\s*({'|'.join(_SECONDS)})s?\s*", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Limit:
    """``quota`` units in any ``window`` seconds."""

    name: str
    quota: int
    window: int


def parse_limits(text: str) -> tuple[Limit, ...]:
    """The limits in ``1200/minute``, ``5 per 2 seconds; 100/hour`` or ``off`` (none).

    The notation of the package ``limits``. Raises ``ValueError`` for what makes no sense.
    """
    if text.strip().lower() == "off":
        return ()
    limits: dict[int, Limit] = {}
    for number, part in enumerate(re.split("[;,|]", text)):
        match = _ONE.fullmatch(part)
        quota = int(match[1]) if match else 0
        window = int(match[2] or 1) * _SECONDS[match[3].lower()] if match else 0
        if not quota or not window:
            raise ValueError(f"{part.strip()!r} is no rate limit; write 1200/minute, or off")
        if window in limits:
            raise ValueError(f"{text!r} has two limits for the same time")
        limits[window] = Limit(f"per-{window}s" if number else "default", quota, window)
    return tuple(limits.values())


class Standing(NamedTuple):
    """How a client stands with the limit that is tightest for it."""

    limit: Limit
    remaining: int
    reset: float
    """Seconds until its window ends."""
    wait: float
    """Seconds until what was asked for would be granted; 0 if it was."""


class Tally:
    """What one client used of one limit, in a window that slides.

    Two numbers stand for the times of all requests: those of the window that runs, and those of
    the one before, which fade as it runs.

    What fits beside them is lent for a moment, to be taken unit by unit without calculating; in
    that moment nothing fades. Whoever takes one counts it in ``current`` and ``unshared`` too.
    """

    __slots__ = ("current", "ends", "field", "lent", "lent_until", "limit", "previous", "unshared")

    def __init__(self, limit: Limit, now: float) -> None:
        self.limit = limit
        self.ends = now + limit.window
        self.current = 0
        self.previous = 0
        self.unshared = 0
        """What other processes were not told of the window that runs."""
        self.lent = 0
        self.lent_until = _OVER
        self.field = b""
        """What the field ``RateLimit`` says, but for the units that remain."""

    def lend(self, now: float) -> None:
        """Lend what is there for a moment, in the window that runs."""
        standing = self.standing(now)
        self.lent = standing.remaining
        self.lent_until = min(now + MOMENT, self.ends)
        self.field = standing_form(self.limit, standing.reset)

    def tell(self) -> int:
        """What other processes were not told; from now on they are."""
        untold, self.unshared, self.lent_until = self.unshared, 0, _OVER
        return untold

    def roll(self, now: float) -> None:
        """Begin the window that ``now`` is in, if that one is over which runs."""
        if now < self.ends:
            return
        window = self.limit.window
        if now < self.ends + window:
            self.ends += window
            self.previous = self.current
        else:
            self.ends = now + window
            self.previous = 0
        self.current = self.unshared = 0

    def used(self, now: float) -> float:
        """Units used in the last ``window`` seconds, as good as two numbers can tell."""
        if not self.previous:
            return self.current
        return self.current + self.previous * (self.ends - now) / self.limit.window

    def wait(self, cost: int, now: float) -> float:
        """Seconds until ``cost`` units fit beside what is used; 0 if they do."""
        window, left = self.limit.window, self.ends - now
        room = max(0, self.limit.quota - cost)
        if self.used(now) <= room:
            return 0.0
        if self.current <= room:
            return max(0.0, left - window * (room - self.current) / self.previous)
        return left + window * (1 - room / self.current)

    def add(self, cost: int) -> None:
        """Count ``cost`` units; give back if it is negative."""
        before = self.current
        after = before + cost if before + cost > 0 else 0
        self.current = after
        self.unshared += after - before
        self.lent_until = _OVER

    def adopt(self, left: float, current: int, previous: int, now: float) -> None:
        """Take what all processes counted together, in a window that has ``left`` seconds left,
        unless this one knows of more: it does when what they share was lost.
        """
        mine = (self.ends, self.current, self.previous)
        known = self.used(now)
        self.ends = now + left
        self.current = max(0, current + self.unshared)
        self.previous = previous
        self.lent_until = _OVER
        if self.used(now) < known:
            self.ends, self.current, self.previous = mine

    def standing(self, now: float, wait: float = 0.0) -> Standing:
        """How the client stands, having been granted something or told to ``wait``."""
        limit, left = self.limit, self.ends - now
        remaining = int(limit.quota - self.used(now))
        # Numbers with a fraction may make a little more than a window of it.
        reset = left if left < limit.window else limit.window
        return Standing(limit, remaining if remaining > 0 else 0, reset, wait)


Tallies = tuple[Tally, ...]


def standing_form(limit: Limit, reset: float) -> bytes:
    """``RateLimit``, as in draft 11 of the IETF's, with ``%d`` for the units that remain."""
    return b'"%b";r=%%d;t=%d' % (limit.name.encode(), ceil(reset))


class ClientQuotas:
    """The tallies of the clients that asked last, at most ``max_clients``; ``limits`` not empty."""

    def __init__(
        self, limits: Sequence[Limit], clock: Callable[[], float], max_clients: int = MAX_CLIENTS
    ) -> None:
        self.limits = tuple(limits)
        self.clock = clock
        self._max_clients = max_clients
        self._clients: OrderedDict[str, Tallies] = OrderedDict()
        self._touched: dict[str, Tallies] | None = None

    def __len__(self) -> int:
        return len(self._clients)

    def take(self, client: str, cost: int = 1) -> Standing:
        """Count ``cost`` units against every limit; against none if one of them has too few left.

        What costs more than a whole quota is granted to a client that has used nothing of it.
        """
        now = self.clock()
        tallies = self._of(client, now)
        for tally in tallies:
            # Asked first whether it fits, which is cheaper than for how long it does not.
            if tally.used(now) + cost > tally.limit.quota and tally.wait(cost, now):
                return _refused(tallies, cost, now)
        return self._count(client, tallies, cost, now)

    def take_one(self, client: str, now: float) -> bytes | None:
        """``take`` for one unit of who is within the only limit; every hit comes by. How the client
        stands, as the field ``RateLimit`` says it. ``None``, and nothing is counted: ``take``.
        """
        tallies = self._clients.get(client)
        if tallies is None:
            return None
        tally = tallies[0]
        if now >= tally.lent_until:
            if len(tallies) > 1:
                return None
            self._of(client, now)
            if self._touched is not None:
                self._touched[client] = tallies
            tally.lend(now)
        left = tally.lent - 1
        if left < 0:
            return None
        tally.lent = left
        tally.current += 1
        tally.unshared += 1
        return tally.field % left

    def charge(self, client: str, cost: int) -> Standing:
        """Count ``cost`` units that are spent already, or give some back."""
        now = self.clock()
        return self._count(client, self._of(client, now), cost, now)

    def note_touched(self) -> dict[str, Tallies]:
        """From now on, the clients whose tallies changed; who reads it takes them out."""
        if self._touched is None:
            self._touched = {}
        return self._touched

    def _of(self, client: str, now: float) -> Tallies:
        tallies = self._clients.get(client)
        if tallies is None:
            tallies = tuple(Tally(limit, now) for limit in self.limits)
            self._clients[client] = tallies
            if len(self._clients) > self._max_clients:
                self._forget_quietest()
            return tallies
        self._clients.move_to_end(client)
        for tally in tallies:
            if now >= tally.ends:
                tally.roll(now)
        return tallies

    def _count(self, client: str, tallies: Tallies, cost: int, now: float) -> Standing:
        for tally in tallies:
            tally.add(cost)
        if self._touched is not None:
            self._touched[client] = tallies
        if len(tallies) == 1:
            return tallies[0].standing(now)
        return min((tally.standing(now) for tally in tallies), key=_share_left)

    def _forget_quietest(self) -> None:
        client, _ = self._clients.popitem(last=False)
        if self._touched is not None:
            self._touched.pop(client, None)


def _refused(tallies: Tallies, cost: int, now: float) -> Standing:
    """The standing with the limit that makes the client wait longest."""
    wait, tally = max(((one.wait(cost, now), one) for one in tallies), key=itemgetter(0))
    return tally.standing(now, wait)


def _share_left(standing: Standing) -> float:
    return standing.remaining / standing.limit.quota

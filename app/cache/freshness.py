"""How good an answer still is: three timers, and the verdict that follows from them. PURE.

As in Varnish, each answer is *fresh* for a while (give it), then in *grace* (give it, and
refresh it once behind the client's back), then *kept* (give it only if the upstream fails).

So that answers which were stored together do not grow old together, each key has a fresh time
that is a little longer or shorter than its class's (``jitter``); and the closer an answer that
is asked for often comes to its end, the likelier it is refreshed before (``should_refresh_early``).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from zlib import crc32

from app.kingdom.operation import Freshness

NEGATIVE_STATUSES = frozenset({404, 422})
"""Answers that say no, which are worth remembering for a short while."""
_GRACE = {
    Freshness.STATIC: 86400.0,
    Freshness.SLOW: 3600.0,
    Freshness.LIVE: 300.0,
    Freshness.INSTANT: 30.0,
}
_NEGATIVE_KEEP = 86400.0
SKEW = 1.0
"""Seconds by which clocks are set back in daily life."""
_JITTER = 0.1
EARLY = 10.0
"""Fetch times before the end of which no answer is renewed early: the chance is one in 20,000."""
_LOOKS, _WAITING = 4, 0.1
"""How often in a fetch time, and after how many seconds, an answer is looked at that is due."""


class Verdict(StrEnum):
    """What may be done with an answer."""

    FRESH = "fresh"
    GRACE = "grace"
    KEPT = "kept"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Policy:
    """Seconds after the fetch until an answer is no longer fresh, in grace, kept.

    Each timer begins where the one before ends.
    """

    fresh: float
    grace: float
    keep: float


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdict on one answer: its ``age`` and the ``ttl`` left (negative: over for so long)."""

    verdict: Verdict
    age: float
    ttl: float

    @property
    def fresh(self) -> float:
        """The whole fresh time that was judged by, to the millisecond: what ``max-age`` says."""
        return round(self.age + self.ttl, 3)


def jitter(key: str) -> float:
    """By how much the fresh time of ``key`` is stretched: 0.9 to 1.1, for each key always the same.

    Without chance, so that all workers and replicas say the same of one answer.
    """
    return 1.0 + _JITTER * (crc32(key.encode()) / 2**31 - 1.0)


def judge(stored_at: float, policy: Policy, now: float, stretch: float = 1.0) -> Judgement:
    """Judge an answer that was stored at wall time ``stored_at``, fresh for ``stretch`` times
    what ``policy`` says.

    A ``stored_at`` in the future means that the clock was set back: nobody knows how old the
    answer is, so it is good enough to give, and to be refreshed.
    """
    if stored_at > now + SKEW:
        return Judgement(Verdict.GRACE, 0.0, 0.0)
    age = max(0.0, now - stored_at)
    ttl = policy.fresh * stretch - age
    if ttl > 0:
        verdict = Verdict.FRESH
    elif ttl + policy.grace > 0:
        verdict = Verdict.GRACE
    elif ttl + policy.grace + policy.keep > 0:
        verdict = Verdict.KEPT
    else:
        verdict = Verdict.EXPIRED
    return Judgement(verdict, age, ttl)


def is_nearly_over(judgement: Judgement, fetch_seconds: float) -> bool:
    """Whether so little time is left that it may be renewed early."""
    return judgement.ttl < EARLY * fetch_seconds


def good_for(judgement: Judgement, fetch_seconds: float) -> float:
    """Seconds for which nobody has to look at an answer again that was judged so: it is told with
    the same age and time left, in whole seconds, and nothing has to be done about it.

    While a refresh may be due it is looked at several times in what one takes, so that it is not
    missed; while one is under way or failed, now and then.
    """
    unchanged = min(1.0 - judgement.age % 1.0, judgement.ttl % 1.0)
    if judgement.verdict is not Verdict.FRESH:
        return min(_WAITING, unchanged)
    sure = judgement.ttl - EARLY * fetch_seconds
    return min(max(sure, min(fetch_seconds / _LOOKS, _WAITING)), unchanged)


def should_refresh_early(
    ttl: float, fetch_seconds: float, chance: float, beta: float = 1.0
) -> bool:
    """Whether one request for a fresh answer is the one to refresh it (XFetch).

    ``ttl`` is the time left, ``fetch_seconds`` what a refresh takes, ``chance`` a random number
    over 0 and up to 1 (``1 - random()``). A request one fetch before the end says yes in 37 of 100
    cases, one at five fetches in 0.7: so an answer that is asked for often is renewed in time,
    and one that hardly anybody wants is left alone. A larger ``beta`` means earlier.
    """
    return -beta * fetch_seconds * math.log(chance) >= ttl


class Policies:
    """The policy of every answer, by the operation's freshness class and the answer's status."""

    def __init__(self, fresh: Mapping[Freshness, float], negative: float, keep: float) -> None:
        self._good = {
            name: Policy(seconds, min(_GRACE[name], keep), keep) for name, seconds in fresh.items()
        }
        self._negative = Policy(negative, 0.0, min(_NEGATIVE_KEEP, keep))

    def of(self, freshness: Freshness, status: int) -> Policy:
        """The policy of an answer with that status."""
        return self._negative if status in NEGATIVE_STATUSES else self._good[freshness]


def is_storable(status: int) -> bool:
    """Whether an answer is remembered at all: good ones, and those that say no."""
    return status == 200 or status in NEGATIVE_STATUSES

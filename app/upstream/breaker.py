"""When to stop asking, when to try again, and when to believe that it is over. PURE.

A breaker is closed (calls go), open (none does) or half-open (one is on its way, to see). It
opens when failures follow one another without a single answer between them. Times are monotonic
seconds; what a call says counts only if the call began after the breaker's last change, so that
calls which were under way before it cannot open or close it again. Nor does a failure count if a
call that began later was answered: failures follow one another in the order of asking, and a call
that hung says at the end of its time what was true at the beginning.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, replace
from typing import Literal

from app.errors import UpstreamError, UpstreamRefused, UpstreamTimeout, UpstreamUnreachable

State = Literal["closed", "open", "half-open"]

Verdict = Literal["go", "probe", "trying", "refuse"]
"""``probe``: this call may be the one that tries; ``trying``: one is on its way already."""

_JITTER = 1.5


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    """The numbers; times in seconds."""

    enough: int = 6
    """Weight of failures in a row that opens."""
    timeout_weight: int = 3
    """Two callers have waited their whole time in vain: nobody else is to do that."""
    first_open: float = 1.0
    longest_open: float = 5.0
    """A probe is one call: rarer ones would spare nobody, and make the recovery late."""

    def weight(self, error: UpstreamError) -> int:
        """How much a failure says about the upstream as a whole; 0: nothing.

        A 429 says that we are too fast, for which there are the limit and the pause. An
        implausible answer is an answer: it costs nobody any waiting.
        """
        if isinstance(error, UpstreamTimeout):
            return self.timeout_weight
        if isinstance(error, UpstreamRefused):
            return 0 if error.status == 429 else 1
        return 1 if isinstance(error, UpstreamUnreachable) else 0

    def open_for(self, times: int, rng: random.Random) -> float:
        """Seconds to stay open, for the ``times``-th time in a row: longer each time, jittered."""
        doubled = self.first_open * 2.0 ** min(times - 1, 30)
        return rng.uniform(1.0, _JITTER) * min(doubled, self.longest_open / _JITTER)


@dataclass(frozen=True, slots=True)
class Failure:
    """One call that came to nothing."""

    label: str
    weight: int
    began: float
    now: float
    heard: float = -math.inf
    """When the last of the calls began that were answered before this one failed."""


@dataclass(frozen=True, slots=True)
class Breaker:
    """A value: never changes; each method returns the breaker after it."""

    state: State = "closed"
    changed_at: float = -math.inf
    until: float = -math.inf
    """When an open one may be tried."""
    failing_since: float | None = None
    score: int = 0
    opened: int = 0
    """How many times in a row."""
    culprits: frozenset[str] = frozenset()
    """The operations that have failed since the last answer."""

    def verdict(self, now: float, label: str) -> Verdict:
        """What a call of the operation ``label`` may do.

        While a single operation is all that has failed, another need not wait to be tried.
        """
        if self.state == "closed":
            return "go"
        if self.state == "half-open":
            return "trying"
        new_voice = len(self.culprits) == 1 and label not in self.culprits
        return "probe" if now >= self.until or new_voice else "refuse"

    def left(self, now: float) -> float:
        """Seconds until it is tried; 0 when it is not open, or waits for the next call."""
        return max(0.0, self.until - now) if self.state == "open" else 0.0

    def is_news(self, began: float, heard: float) -> bool:
        """Whether the failure of a call that ``began`` then says something. ``heard``: when the
        last of those began that were answered."""
        return began >= max(self.changed_at, heard)

    def probing(self, now: float) -> Breaker:
        """One call is on its way."""
        return replace(self, state="half-open", changed_at=now)

    def answered(self, began: float, now: float) -> Breaker:
        """A call was answered."""
        if began < self.changed_at or self.state == "open":
            return self
        if self.state == "half-open":
            return Breaker(changed_at=now)
        return Breaker(changed_at=self.changed_at) if self.score else self

    def failed(
        self, failure: Failure, policy: BreakerPolicy, rng: random.Random, *, alone: bool = True
    ) -> Breaker:
        """A call came to nothing. ``alone``: no other operation was answered lately, so that one
        is enough to speak for all."""
        if self.state == "open" or not self.is_news(failure.began, failure.heard):
            return self
        if self.state == "closed" and not failure.weight:
            return self
        after = replace(
            self,
            failing_since=failure.now if self.failing_since is None else self.failing_since,
            score=self.score + failure.weight,
            culprits=self.culprits | {failure.label},
        )
        if self.state == "half-open":
            # A probe that came back with nonsense shows that something is alive: look again soon.
            times = self.opened + 1 if failure.weight else 1
        elif after.score >= policy.enough and (alone or len(after.culprits) > 1):
            times = 1
        else:
            return after
        until = failure.now + policy.open_for(times, rng)
        return replace(after, state="open", changed_at=failure.now, until=until, opened=times)

    def untried(self, now: float, policy: BreakerPolicy) -> Breaker:
        """The probe ended without an outcome: the program stopped it."""
        return replace(self, state="open", changed_at=now, until=now + policy.first_open)

"""The breaker of the upstream as a whole, and one for each operation; their changes are logged.

One operation that hangs is not an upstream that is down, but it must not hold all the slots
either: it gets a breaker of its own. The one of the whole opens when several operations fail, or
when one does and no other has been answered lately.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import structlog

from app.errors import UpstreamError, UpstreamRefused
from app.upstream.breaker import Breaker, BreakerPolicy, Failure, State, Verdict
from app.upstream.health import ONE_ODD_OPERATION
from app.upstream.lie import reason_of

log = structlog.get_logger(__name__)

WHOLE = ""
"""The scope of the breaker that is everybody's; the others' scope is their operation's name."""


class Circuits:
    """``clock`` is monotonic, ``wall`` counts from 1970, ``rng`` jitters the times."""

    def __init__(
        self,
        policy: BreakerPolicy,
        *,
        clock: Callable[[], float],
        wall: Callable[[], float],
        rng: random.Random,
    ) -> None:
        self._policy = policy
        self._clock = clock
        self._wall = wall
        self._rng = rng
        self._whole = Breaker()
        self._fresh = Breaker()
        self._own: dict[str, Breaker] = {}
        self._answered_at: dict[str, float] = {}
        self._heard: dict[str, float] = {}
        """By scope: when the last of the calls began that were answered."""

    @property
    def state(self) -> State:
        """The state of the whole."""
        return self._whole.state

    @property
    def next_try_in(self) -> float:
        """Seconds until the whole is tried; 0 when it is not open, or waits for the next call."""
        return self._whole.left(self._clock())

    @property
    def failing_operations(self) -> tuple[str, ...]:
        """Those that are not asked now although the upstream as a whole is."""
        if self._whole.state != "closed":
            return ()
        return tuple(sorted(label for label, own in self._own.items() if own.state != "closed"))

    def scope(self, label: str) -> str:
        """Whose breaker decides about a call of ``label`` now."""
        return label if self._whole.state == "closed" else WHOLE

    def look(self, label: str) -> Verdict:
        """What a call of ``label`` may do."""
        return self._at(self.scope(label)).verdict(self._clock(), label)

    def is_news(self, label: str, began: float) -> bool:
        """Whether the failure of a call of ``label`` that ``began`` then says something."""
        scope = self.scope(label)
        return self._at(scope).is_news(began, self._heard.get(scope, -math.inf))

    def begin_probe(self, label: str) -> str:
        """A call that may probe does so; returns the scope, for ``end_probe``."""
        scope = self.scope(label)
        self._become(scope, self._at(scope).probing(self._clock()))
        return scope

    def end_probe(self, scope: str) -> None:
        """The probe is over; if it ended without an outcome, the next one may be soon."""
        breaker = self._at(scope)
        if breaker.state == "half-open":
            self._become(scope, breaker.untried(self._clock(), self._policy))

    def answered(self, label: str, began: float) -> bool:
        """A call was answered. Returns whether that closed the breaker of the whole."""
        now = self._clock()
        self._answered_at[label] = now
        for scope in (WHOLE, label):
            self._heard[scope] = max(began, self._heard.get(scope, began))
        was = self._whole.state
        self._become(WHOLE, self._whole.answered(began, now))
        if was != "closed" and self._whole.state == "closed":
            self._own.clear()
            return True
        self._become(label, self._at(label).answered(began, now))
        return False

    def failed(self, label: str, error: UpstreamError, began: float) -> bool:
        """A call came to nothing. Returns whether that opened a breaker."""
        failure = Failure(label, self._policy.weight(error), began, self._clock())
        of_own, of_all = (
            replace(failure, heard=self._heard.get(scope, -math.inf)) for scope in (label, WHOLE)
        )
        own = self._at(label).failed(of_own, self._policy, self._rng)
        whole = self._whole.failed(of_all, self._policy, self._rng, alone=self._alone(failure))
        if self._become(WHOLE, whole, reason_of(error)):
            return True
        # While nothing goes out at all, a breaker of one operation would decide nothing.
        return whole.state == "closed" and self._become(label, own, reason_of(error))

    def refusal(self, label: str, *, at_least: float = 0.0) -> UpstreamRefused:
        """What a call is told that may not go: since when it fails, and when it is tried.

        ``at_least``: seconds for which nothing goes out anyway.
        """
        breaker, now = self._at(self.scope(label)), self._clock()
        left = max(breaker.left(now), at_least)
        failing_for = 0.0 if breaker.failing_since is None else now - breaker.failing_since
        since = datetime.fromtimestamp(self._wall() - failing_for, UTC).replace(tzinfo=None)
        who = "it" if breaker is self._whole else label
        if breaker.state == "half-open":
            then = "being tried just now"
        else:
            then = f"tried again in {math.ceil(left)} s" if left else "tried with the next call"
        detail = (
            f"{who} has been failing since {since.isoformat(timespec='seconds')}Z and is {then}"
        )
        return UpstreamRefused(detail, status=503, retry_after=max(left, 1.0))

    def _at(self, scope: str) -> Breaker:
        if scope == WHOLE:
            return self._whole
        return self._own.get(scope, self._fresh)

    def _alone(self, failure: Failure) -> bool:
        lately = failure.now - ONE_ODD_OPERATION
        return not any(
            at > lately for label, at in self._answered_at.items() if label != failure.label
        )

    def _become(self, scope: str, after: Breaker, reason: str | None = None) -> bool:
        """Take ``after`` as the state of things, and tell if it is another; whether it opened."""
        before = self._at(scope)
        if after is before:
            return False
        if scope == WHOLE:
            self._whole = after
            # What began before the whole changed says nothing about an operation either.
            self._fresh = Breaker(changed_at=after.changed_at)
        else:
            self._own[scope] = after
        if after.state == before.state:
            return False
        self._tell(scope, before, after, reason)
        return after.state == "open"

    def _tell(self, scope: str, before: Breaker, after: Breaker, reason: str | None) -> None:
        now = self._clock()
        since = before.failing_since if after.failing_since is None else after.failing_since
        fields = {
            "state": after.state,
            "operation": scope or "all",
            "failing_for": 0.0 if since is None else round(now - since, 1),
        }
        if after.state == "open":
            fields |= {"next_try_in": round(after.left(now), 1), "reason": reason or "no outcome"}
        tell = log.warning if before.state == "closed" else log.info
        tell("upstream breaker", **fields)

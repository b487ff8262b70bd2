"""How the upstream is doing, as far as our calls can tell; its changes are logged, once each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import structlog

from app.errors import UpstreamError, UpstreamImplausible
from app.upstream.breaker import State

log = structlog.get_logger(__name__)

ONE_ODD_OPERATION = 30.0
"""Seconds after a good answer in which one odd operation says nothing about the upstream."""


@dataclass(frozen=True, slots=True)
class UpstreamStatus:
    """What ``/health`` shows of the upstream."""

    ok: bool
    """Whether the last call that says something about it was answered. True before any call."""
    failing_since: float | None
    """Wall clock, seconds since 1970; ``None`` while it is ok."""
    last_error: str | None
    """The last failure in words, kept after the recovery. Holds no URL."""
    paused_for: float
    """Seconds for which no call is made because the upstream asked for it; 0 usually."""
    breaker: State = "closed"
    """``open``: nothing is asked; ``half-open``: one call is on its way, to see."""
    next_try_in: float = 0.0
    """Seconds until an open breaker lets a call try; 0 when the next one may, or all may."""
    failing_operations: tuple[str, ...] = ()
    """Operations that are not asked now, each by a breaker of its own."""
    most_at_once: int = 0
    """How many calls may be under way now: the limit that adapts itself."""


@dataclass(frozen=True, slots=True)
class Health:
    """What the calls so far say. ``now`` is monotonic, ``wall`` is seconds since 1970."""

    failing_since: float | None = None
    last_error: str | None = None
    answered_at: float | None = None

    @property
    def ok(self) -> bool:
        """Whether it is not known to be failing."""
        return self.failing_since is None

    def after_answer(self, now: float) -> Health:
        """It answered: any answer that may be passed on, errors of its own included."""
        return replace(self, failing_since=None, answered_at=now)

    def after_failure(self, error: UpstreamError, now: float, wall: float) -> Health:
        """A call failed. One operation that makes no sense is not an upstream that is down."""
        text = f"{error.reason}: {error.detail}"
        answered_lately = (
            self.answered_at is not None and now - self.answered_at < ONE_ODD_OPERATION
        )
        if isinstance(error, UpstreamImplausible) and answered_lately:
            return replace(self, last_error=text)
        since = wall if self.failing_since is None else self.failing_since
        return replace(self, failing_since=since, last_error=text)


class HealthWatch:
    """Holds the health of one upstream and logs when it starts failing and when it recovers."""

    def __init__(self, clock: Callable[[], float], wall: Callable[[], float]) -> None:
        self._clock = clock
        self._wall = wall
        self._health = Health()

    def status(self, paused_for: float) -> UpstreamStatus:
        """What is known now."""
        health = self._health
        return UpstreamStatus(health.ok, health.failing_since, health.last_error, paused_for)

    def answered(self) -> None:
        """A call was answered."""
        since = self._health.failing_since
        self._health = self._health.after_answer(self._clock())
        if since is not None:
            log.info("upstream recovered", failed_for=round(self._wall() - since, 1))

    def failed(self, label: str, error: UpstreamError) -> None:
        """A call that was made came to nothing."""
        was_ok = self._health.ok
        self._health = self._health.after_failure(error, self._clock(), self._wall())
        if was_ok and not self._health.ok:
            log.warning(
                "upstream failing", operation=label, reason=error.reason, detail=error.detail
            )

"""When we may call the upstream at all: what it asked for with ``Retry-After``, obeyed. PURE.

A pause is the client's as a whole, not a call's: an upstream that says "not now" to one call
means all of them. Times are seconds of the caller's monotonic clock, except where it says wall.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Literal

LONGEST_PAUSE = 300.0
"""Seconds: no header, however odd, silences the client for longer."""

UNEXPLAINED_429_PAUSE = 1.0
"""Seconds of quiet after a 429 that names no time: it still means that we are too fast."""


def parse_retry_after(value: str | None, wall: float) -> float | None:
    """Seconds from now that a ``Retry-After`` asks for, within 0 and ``LONGEST_PAUSE``.

    It may be a number of seconds or an HTTP date (compared with ``wall``, seconds since 1970).
    ``None`` when there is no such header, or nothing can be made of it.
    """
    text = (value or "").strip()
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?", text):
        return _bounded(float(text))
    try:
        moment = parsedate_to_datetime(text)
        # A date without a zone (the asctime form) is in UTC too: RFC 9110, 5.6.7.
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return _bounded(moment.timestamp() - wall)
    except (ValueError, OverflowError):
        return None


def pause_after(status: int, retry_after: float | None) -> float:
    """Seconds for which nobody should call after a refusal with this status."""
    if retry_after is not None:
        return retry_after
    return UNEXPLAINED_429_PAUSE if status == 429 else 0.0


@dataclass(frozen=True, slots=True)
class Admission:
    """Whether a call may go out: now, after ``seconds``, or not (try again in ``seconds``)."""

    verdict: Literal["go", "wait", "refuse"]
    seconds: float


@dataclass(frozen=True, slots=True)
class Pause:
    """Until when the client is quiet, and the status that asked for it. A value: never changes."""

    until: float = -math.inf
    status: int = 503

    def left(self, now: float) -> float:
        """Seconds that are left of it; 0 when there is none."""
        return max(0.0, self.until - now)

    def extended(self, now: float, seconds: float, status: int) -> Pause:
        """The pause after one more refusal. It never gets shorter: the longest demand counts."""
        until = now + _bounded(seconds)
        return Pause(until, status) if seconds > 0 and until > self.until else self

    def admit(self, now: float, deadline: float) -> Admission:
        """What a call does that has to be over by ``deadline``."""
        left = self.left(now)
        if left <= 0:
            return Admission("go", 0.0)
        return Admission("wait" if now + left < deadline else "refuse", left)


def _bounded(seconds: float) -> float:
    return min(max(0.0, seconds), LONGEST_PAUSE)

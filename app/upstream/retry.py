"""Whether a failed call is made again, and how long to wait before that. PURE.

A repeat must be worth it for the client and bearable for the upstream: at most two of them, with
full jitter so that clients which failed together do not come back together, and from a budget
that all calls share, so that an upstream in trouble gets a tenth more load and not three times it.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from app.errors import (
    UpstreamError,
    UpstreamImplausible,
    UpstreamRefused,
    UpstreamTimeout,
)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """The numbers; times in seconds, shares as parts of the whole time that a call has."""

    repeats: int = 2
    first_backoff: float = 0.1
    longest_backoff: float = 2.0
    share_after_timeout: float = 0.4
    """A call that hung is repeated only if this much of its time is left."""
    share_to_be_useful: float = 0.1
    """With less than this left after the wait, the repeat could not finish: it is not begun."""

    def delay(
        self,
        failure: UpstreamError,
        *,
        made: int,
        left: float,
        timeout: float,
        rng: random.Random,
    ) -> float | None:
        """Seconds to wait before the next attempt; ``None``: there is none.

        ``made`` attempts were made (1 or more), ``left`` of the ``timeout`` remains. The caller
        has made sure that the request may be repeated at all.
        """
        if made > self.repeats or isinstance(failure, UpstreamImplausible):
            return None
        if isinstance(failure, UpstreamTimeout) and left < self.share_after_timeout * timeout:
            return None
        asked = failure.retry_after
        if isinstance(failure, UpstreamRefused) and failure.status == 429 and asked is None:
            # It is we who are too fast, and it did not say how much: a repeat would add to it.
            return None
        backoff = self._backoff(made, rng)
        wait = backoff if asked is None else asked + min(backoff, self.first_backoff)
        return wait if left - wait >= self.share_to_be_useful * timeout else None

    def _backoff(self, made: int, rng: random.Random) -> float:
        return rng.uniform(0.0, min(self.longest_backoff, self.first_backoff * 2 ** (made - 1)))


class RetryBudget:
    """A bucket of repeats that all calls of a client share: answers fill it, repeats empty it.

    It starts full, so that a fresh process may repeat; when most calls fail it runs dry, and
    then repeats stay below ``earned`` of the answers that still come.
    """

    def __init__(self, *, capacity: float = 10.0, earned: float = 0.1) -> None:
        self._capacity = capacity
        self._earned = earned
        self._tokens = capacity

    @property
    def tokens(self) -> float:
        """How many repeats could be made now; between 0 and the capacity."""
        return self._tokens

    def earn(self) -> None:
        """An answer came."""
        self._tokens = min(self._capacity, self._tokens + self._earned)

    def spend(self) -> bool:
        """Take one repeat; ``False``, and nothing taken, when there is none."""
        # Ten times 0.1 is a little less than one in binary: it must still buy a repeat.
        if self._tokens < 1.0 - 1e-9:
            return False
        self._tokens = max(0.0, self._tokens - 1.0)
        return True

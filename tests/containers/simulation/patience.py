"""Nothing may get stuck, and what fails is not tried again too soon."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

from app.containers.engine import CALL_SECONDS, START_SECONDS
from app.containers.lifecycle import BACKOFF_CAP, BACKOFF_FIRST
from app.containers.work import STOP_MARGIN
from app.coordination.rights import LEASE, VOTE
from tests.containers.simulation.box import Manners
from tests.containers.simulation.plan import STARTUP_TIMEOUT, Plan
from tests.containers.simulation.record import Record

SLACK = 2.0
GRACE = Manners().stop_timeout


class Patience:
    """Follows the states of each container at each gateway; says ``fail`` when one lasts."""

    def __init__(self, plan: Plan, fail: Callable[[str], None]) -> None:
        self._fail = fail
        self._since: dict[tuple[str, str], tuple[str, float]] = {}
        self._failed_at: dict[tuple[str, str], float] = {}
        self._failures: dict[tuple[str, str], int] = defaultdict(int)
        self._new_run: set[tuple[str, str]] = set()
        """Somebody else started it since the gateway began to wake it: it may look at once."""
        hangs = plan.kind in ("engine", "everything")
        asking = (VOTE + SLACK) * plan.gateways
        stopping = GRACE + SLACK + asking + (LEASE if plan.gateways > 1 else 0.0)
        if hangs:
            stopping += 2 * (GRACE + STOP_MARGIN + CALL_SECONDS)
        waking = STARTUP_TIMEOUT + SLACK + (2 * START_SECONDS + 2 * CALL_SECONDS if hangs else 0.0)
        self._longest = {
            "draining": asking + SLACK,
            "stopping": stopping,
            # What it needs may have to be stopped to the end, and to wake, before its turn comes.
            "waking": (waking + stopping) * len(plan.boxes),
        }

    def life(self, record: Record, was: str, state: str) -> None:
        """It went from ``was`` to ``state``."""
        key = (record.by, record.name)
        _, since = self._since.get(key, (was, record.at))
        lasted = record.at - since
        if lasted > self._longest.get(was, lasted):
            self._fail(f"{record.by} had it {was} for {lasted:.3f} s")
        if was == "failed" and state == "waking" and key not in self._new_run:
            least = 0.75 * min(BACKOFF_CAP, BACKOFF_FIRST * 2.0 ** (self._failures[key] - 1))
            after = record.at - self._failed_at[key]
            if after < least:
                failures = self._failures[key]
                self._fail(f"{record.by} tried again {after:.3f} s after failure {failures}")
        self._since[key] = (state, record.at)
        if state == "failed" and was == "missing":
            # The engine was away meanwhile, which says nothing about the container.
            self._failed_at.setdefault(key, record.at)
        elif state == "failed":
            self._failures[key] += 1
            self._failed_at[key] = record.at
        elif state == "waking":
            self._new_run.discard(key)
        elif state in ("awake", "asleep"):
            self._failures[key] = 0

    def started(self, record: Record) -> None:
        """It runs anew."""
        for key in self._since:
            if key[1] == record.name and key[0] != record.by:
                self._new_run.add(key)

    def forget(self, gateway: str) -> None:
        """It starts anew, or died."""
        for key in [key for key in self._since if key[0] == gateway]:
            del self._since[key]
            self._failures.pop(key, None)

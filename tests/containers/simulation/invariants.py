"""What must be true of every schedule, read from its records.

The records were written by the engine and by the users. What a gateway says about itself (``life``)
serves for two things only: to know when it decided, and whether it got stuck.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable

from app.containers.engine import CALL_SECONDS
from app.containers.observed import Standing
from tests.containers.simulation.claims import Claims, Tracked
from tests.containers.simulation.events import LATEST
from tests.containers.simulation.patience import Patience
from tests.containers.simulation.plan import CHECK_INTERVAL, Plan
from tests.containers.simulation.record import Record

PROMPT = 1.5
"""Seconds in which a gateway acts on what the engine told it."""
VETO_AFTER = 5.0
"""Seconds of work after which a veto holds whenever it is asked."""
LIKE_AN_ECHO = 6.0
ON_ITS_WAY = 2.0
"""Seconds after which a start takes effect that was sent by one who knows nothing of it now."""


class Invariants:
    """Reads one schedule's records; ``wrong`` is what must not be, one line each."""

    def __init__(self, plan: Plan) -> None:
        self.wrong: list[str] = []
        self._plan = plan
        self._boxes = {box.name: Tracked() for box in plan.boxes}
        self._specs = {box.name: box for box in plan.boxes}
        self._users = {
            name: tuple(other.name for other in plan.boxes if name in plan.closure(other.name))
            for name in self._boxes
        }
        self._patience = Patience(plan, self._fail)
        self._claims = Claims(plan, self._boxes, self._fail)
        self._asked: dict[str, Record] = {}
        self._last_use: dict[tuple[str, str], float] = defaultdict(float)
        self._decided: dict[tuple[str, str], float] = {}
        self._states: dict[tuple[str, str], str] = {}
        self._wakes: dict[tuple[str, str], int] = defaultdict(int)
        self._needed: dict[tuple[str, str], float] = {}
        """Until when it may be started there: who needs it does so until it is ready or fails."""
        self._alive_since: dict[str, float] = {}
        self._stepped_at = -1.0
        self._settled = False
        self._now: Record = Record(0.0, "begin")
        by_hand = plan.kind in ("by hand", "everything")
        self._only_gateways = plan.kind in ("calm", "broken", "noisy")
        self._restarts_unseen = by_hand and plan.noise.lost > 0
        engine_answers = plan.kind not in ("engine", "everything")
        self._veto_after = VETO_AFTER if engine_answers else math.inf
        self._blind = PROMPT
        if plan.noise.lost:
            self._blind += LATEST + CHECK_INTERVAL
        if plan.kind in ("engine", "everything"):
            self._blind += CHECK_INTERVAL + 2 * CALL_SECONDS

    def read(self, records: Iterable[Record]) -> list[str]:
        """All that is wrong with them."""
        for record in records:
            self._now = record
            handle = _HANDLERS.get(record.what)
            if handle is not None:
                handle(self, record)
        for who, asked in self._asked.items():
            self.wrong.append(
                f"{who}, who asked for {asked.name} at {asked.at:.3f}, never got away"
            )
        return self.wrong

    def _fail(self, what: str) -> None:
        self.wrong.append(f"{self._now.at:.3f} {self._now.name}: {what}")

    # -- the engine ------------------------------------------------------------------------

    def _started(self, record: Record) -> None:
        box, key = self._boxes[record.name], (record.by, record.name)
        if record.by.startswith("gate"):
            self._wakes[key] -= 1
            if self._wakes[key] < 0:
                self._fail(f"{record.by} started it more often than it woke it")
            if self._needed.get(key, 0.0) < record.at and not self._is_awaited(*key):
                self._fail(f"{record.by} started what nobody needed")
            for need in self._plan.closure(record.name) if self._only_gateways else ():
                other = self._boxes[need]
                lost_long_ago = not other.usable and record.at - other.lost_at > self._blind
                if need != record.name and lost_long_ago:
                    self._fail(f"{record.by} started it before {need}, which it needs")
        self._patience.started(record)
        box.up, box.usable = True, False
        if record.detail != "again":
            self._new_run(record)

    def _new_run(self, record: Record) -> None:
        """Whoever started it: it gets its idle time, unless it is about to be stopped."""
        for gateway in range(self._plan.gateways):
            key = (f"gate{gateway}", record.name)
            if self._states.get(key) != "draining":
                self._last_use[key] = record.at

    def _ready(self, record: Record) -> None:
        box = self._boxes[record.name]
        box.usable, box.usable_since = True, record.at

    def _stop_begun(self, record: Record) -> None:
        if record.by.startswith("gate"):
            self._stopped_by_us(record)
        self._lose(record)
        if record.what == "paused":
            self._cut_off(record.name)

    def _down(self, record: Record) -> None:
        self._lose(record)
        self._cut_off(record.name)
        if record.name in self._boxes:
            box = self._boxes[record.name]
            box.up, box.there = False, record.what != "removed"

    def _cut_off(self, name: str) -> None:
        """Whoever uses it is not served any more."""
        if name in self._boxes:
            self._boxes[name].used_by.clear()

    def _lose(self, record: Record) -> None:
        if record.name in self._boxes:
            self._boxes[record.name].lose(record)

    def _stopped_by_us(self, record: Record) -> None:
        name = record.name
        if self._specs[name].stays:
            self._fail(f"{record.by} stopped what is critical")
        for other in self._users[name]:
            if self._boxes[other].used_by:
                users = ", ".join(sorted(self._boxes[other].used_by))
                self._fail(f"{record.by} stopped it, and {other} is used by {users}")
            elif other != name and self._only_gateways and self._boxes[other].usable:
                self._fail(f"{record.by} stopped it, and {other}, which needs it, runs")
        for who, since in self._boxes[name].held_by.items():
            gateway = who.partition("/")[0]
            if since < self._decided.get((gateway, name), 0.0):
                self._fail(f"{record.by} stopped it under a lease that {who} has since {since:.3f}")

    def _created(self, record: Record) -> None:
        if record.name in self._boxes:
            box = self._boxes[record.name]
            box.there, box.troubled_at = True, record.at

    def _busy(self, record: Record) -> None:
        self._boxes[record.name].busy_since = record.at

    def _calm(self, record: Record) -> None:
        self._boxes[record.name].busy_since = math.inf

    def _refused(self, record: Record) -> None:
        self._boxes[record.name].troubled_at = record.at

    def _not_modified(self, record: Record) -> None:
        self._boxes[record.name].troubled_at = record.at
        if record.detail and self._only_gateways and record.by.startswith("gate"):
            self._fail(f"{record.by} sent a start that is lost")

    # -- the users -------------------------------------------------------------------------

    def _was_asked(self, record: Record) -> None:
        self._asked[record.by] = record
        if (record.by.partition("/")[0], record.name) in self._states:
            # Who asks for what nobody has heard of there uses nothing that it would need.
            self._needs(record)

    def _needs(self, record: Record) -> None:
        gateway = record.by.partition("/")[0]
        for name in self._plan.closure(record.name):
            self._needed[gateway, name] = math.inf
            self._last_use[gateway, name] = record.at

    def _leased(self, record: Record) -> None:
        self._boxes[record.name].held_by[record.by] = record.at
        self._touch(record)

    def _released(self, record: Record) -> None:
        box = self._boxes[record.name]
        box.held_by.pop(record.by)
        box.used_by.discard(record.by)
        self._touch(record)

    def _touch(self, record: Record) -> None:
        self._last_use[record.by.partition("/")[0], record.name] = record.at

    def _through(self, record: Record) -> None:
        self._in_time(record)
        self._needs(record)
        unusable = [
            (name, self._boxes[name])
            for name in self._plan.closure(record.name)
            if not self._boxes[name].usable
        ]
        if not unusable:
            self._boxes[record.name].used_by.add(record.by)
        for name, box in unusable:
            ago = record.at - box.lost_at
            whose = f"{name}, lost to {box.lost_by} {ago:.3f} s ago"
            if box.lost_by.startswith("gate"):
                # One that starts while a stop is under way, begun by one that has died since (be it
                # itself), is told by nobody: the engine says "running" (docs/decisions/0016).
                asker = record.by.partition("/")[0]
                if box.lost_at > min(self._alive_since[asker], self._alive_since[box.lost_by]):
                    self._fail(f"{record.by} was let through to {whose}")
            elif ago > self._blind and not self._is_unknowable(box):
                self._fail(f"{record.by} was let through to {whose}, long ago")

    def _is_unknowable(self, box: Tracked) -> bool:
        """It was started again, and the event was lost. Or the clock was set back soon after it
        was started, and it was stopped as soon: that looks like the echo of an older stop.
        """
        if self._restarts_unseen and box.up:
            return True
        soon = box.lost_at - box.usable_since < LIKE_AN_ECHO
        return soon and self._stepped_at >= box.usable_since

    def _stepped(self, record: Record) -> None:
        self._stepped_at = record.at

    def _ended(self, record: Record) -> None:
        kind, retry_after, why = record.detail
        if kind != "served":
            self._in_time(record)
            if (
                not (isinstance(retry_after, float) and retry_after > 0)
                and kind != "ContainerUnknown"
            ):
                self._fail(f"{record.by} is not told when to try again: {kind}, {why}")
            if self._settled:
                self._fail(f"{record.by} is refused though all is well: {kind}, {why}")
        del self._asked[record.by]

    def _in_time(self, record: Record) -> None:
        asked = self._asked[record.by]
        within = asked.detail
        assert isinstance(within, float)
        if record.at - asked.at > within + 1e-6:
            self._fail(f"{record.by} waited {record.at - asked.at:.3f} s of {within:.3f}")

    def _hung_up(self, record: Record) -> None:
        del self._asked[record.by]

    def _is_awaited(self, gateway: str, name: str) -> bool:
        """Whether somebody waits for it there, or for what needs it, or what needs it wakes."""
        users = self._users[name]
        for asked in self._asked.values():
            if asked.name in users and asked.by.startswith(gateway):
                return True
        return any(
            self._states.get((gateway, other)) == "waking" for other in users if other != name
        )

    # -- what a gateway says of itself -----------------------------------------------------

    def _life(self, record: Record) -> None:
        was, state, cause, detail = record.detail
        if record.name not in self._boxes:
            # Being created anew, it has another name for a moment.
            return
        key = (record.by, record.name)
        self._states[key] = state
        if state == "waking":
            self._wakes[key] += 1
        if self._is_awaited(*key):
            self._needed[key] = math.inf
        elif state == "missing":
            self._needed[key] = record.at + ON_ITS_WAY
        elif was != "missing" and (was, state) != ("waking", "stopping") and state != "waking":
            self._needed.pop(key, None)
        if state == "stopping":
            self._decided[key] = record.at
            idle = record.at - self._last_use[key]
            if (
                was == "draining"
                and cause == "idle"
                and idle < self._specs[record.name].idle_timeout
            ):
                self._fail(f"{record.by} finds it idle, {idle:.3f} s after its last use")
            busy = record.at - self._boxes[record.name].busy_since
            if self._specs[record.name].vetoes and cause == "idle" and busy > self._veto_after:
                self._fail(f"{record.by} finds it idle, busy for {busy:.3f} s")
        if "internal error" in detail:
            self._fail(f"{record.by}: {detail}")
        self._patience.life(record, was, state)
        self._claims.life(record, was, state, cause, detail)

    def _gateway(self, record: Record) -> None:
        self._alive_since[record.by] = record.at
        for name in self._boxes:
            key = (record.by, name)
            self._states.pop(key, None)
            self._needed[key] = record.at + ON_ITS_WAY
            self._decided.pop(key, None)
            # The start that a gateway sent before it died may arrive when it lives again.
            self._wakes[key] = min(self._wakes[key], 1)
        for name in self._boxes:
            self._last_use[record.by, name] = record.at
        self._patience.forget(record.by)

    # -- the end ---------------------------------------------------------------------------

    def _settles(self, record: Record) -> None:
        self._settled = True

    def _should_run(self, record: Record) -> None:
        standing, states = record.detail
        if standing is not Standing.UP or "awake" not in states:
            self._fail(f"is wanted, and is {standing}; the gateways say {states}")

    def _should_rest(self, record: Record) -> None:
        standing, states = record.detail
        if standing is Standing.UP or not set(states) <= {"asleep", "failed"}:
            self._fail(f"nobody wants it, and it is {standing}; the gateways say {states}")


Handler = Callable[[Invariants, Record], None]
_HANDLERS: dict[str, Handler] = {
    "started": Invariants._started,
    "ready": Invariants._ready,
    "stop begun": Invariants._stop_begun,
    "paused": Invariants._stop_begun,
    "down": Invariants._down,
    "removed": Invariants._down,
    "created": Invariants._created,
    "busy": Invariants._busy,
    "calm": Invariants._calm,
    "refused": Invariants._refused,
    "not modified": Invariants._not_modified,
    "asked": Invariants._was_asked,
    "wants wake": Invariants._needs,
    "leased": Invariants._leased,
    "released": Invariants._released,
    "through": Invariants._through,
    "ended": Invariants._ended,
    "hung up": Invariants._hung_up,
    "life": Invariants._life,
    "gateway": Invariants._gateway,
    "wall": Invariants._stepped,
    "settled": Invariants._settles,
    "should run": Invariants._should_run,
    "should rest": Invariants._should_rest,
}

"""A fake engine that behaves as the real one was measured to (Docker 20.10).

* During the grace period of a stop a container is ``running``, and a start sent then is answered
  with "it runs already" and lost; the first sign is the ``kill`` event, then come ``die`` and
  ``stop``.
* A start takes a while, and those sent meanwhile wait for it and are told that it runs already.
* A paused container cannot be started (409), counts as running, and a stop lets it go on first.
* What was asked for is done also if nobody waits for the answer any more.
* Events are recalled as far as the last 256, until the engine restarts.
* Created anew under the same name, a container has another id.

Answers come through callbacks in virtual time; ``client.py`` makes awaitables of them.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable

from app.containers.observed import (
    ContainerGone,
    EngineError,
    EngineEvent,
    EngineRefused,
    EngineTimeout,
    EngineUnreachable,
)
from tests.containers.simulation.box import Box, Manners
from tests.containers.simulation.clock import VirtualClock
from tests.containers.simulation.events import Noise, Subscription
from tests.containers.simulation.record import Journal

Reply = Callable[[object], None]
"""Takes the answer, or the ``EngineError`` that comes instead."""

RECALLED = 256


class FakeEngine:
    """The containers, the link to them, and what is told about them."""

    def __init__(
        self, clock: VirtualClock, journal: Journal, rng: random.Random, noise: Noise
    ) -> None:
        self.boxes: dict[str, Box] = {}
        self.away = False
        """Nobody gets through: who calls is refused at once."""
        self.hangs = False
        """Calls arrive, and are not answered before their deadline."""
        self.clock = clock
        self.journal = journal
        self._rng = rng
        self._noise = noise
        self._recalled: deque[EngineEvent] = deque(maxlen=RECALLED)
        self._heard_by: list[Subscription] = []
        self._made = 0

    # -- what the API offers ---------------------------------------------------------------

    def is_quick(self) -> bool:
        """Whether a call takes no time at all, this time."""
        return not self.away and not self.hangs and self._rng.random() < QUICK

    def ask(self, within: float, reply: Reply, do: Callable[[Reply], None]) -> None:
        """``do`` when the call has arrived, and ``reply`` when the answer has, or cannot."""
        if self.away:
            reply(EngineUnreachable("no connection"))
            return
        if self.hangs:
            self.clock.call_later(within, reply, EngineTimeout("no answer"))
            return
        there, back = self._rng.choice(_LATENCIES)

        def arrived() -> None:
            self._answer(answered, lambda: do(answered))

        def answered(answer: object) -> None:
            if back:
                self.clock.call_later(back, delivered, answer)
            else:
                delivered(answer)

        def delivered(answer: object) -> None:
            reply(EngineUnreachable("connection reset") if self.away else answer)

        if there:
            self.clock.call_later(there, arrived)
        else:
            arrived()

    def find(self, container_id: str) -> Box:
        """Raises ``ContainerGone``."""
        box = self.boxes.get(container_id)
        if box is None:
            raise ContainerGone(f"no such container: {container_id}")
        return box

    def start(self, box: Box, by: str, reply: Reply) -> None:
        """``True`` for a start, ``False`` if it runs already, or is about to, or dies."""
        if box.removed:
            raise ContainerGone(f"no such container: {box.id}")
        if box.status == "paused":
            raise EngineRefused(409, "cannot start a paused container")
        if box.status == "running":
            self.journal.write("not modified", box.name, by, box.dying or None)
            reply(False)
            return
        if box.starting:
            box.waiting.append(lambda: self._answer(reply, lambda: self.start(box, by, reply)))
            return
        box.starting = True
        self.clock.call_later(box.manners.starts_in, self._started, box, by, reply)

    def stop(self, box: Box, by: str, reply: Reply) -> None:
        """Replies when it is down."""
        if not box.is_up:
            reply(True)
            return
        if box.status == "paused":
            self.unpause(box, "engine")
        box.waiting.append(lambda: reply(True))
        self.signal(box, by, "15")

    def signal(self, box: Box, by: str, number: str) -> None:
        """What ends it, and how long that takes; a second one changes nothing but a kill."""
        self.journal.write("stop begun", box.name, by, number)
        self._tell("kill", box, signal=number)
        if number == "9":
            self.clock.call_soon(self._end, box, box.run, by, 137)
        elif not box.dying:
            grace = min(box.manners.ends_in, box.manners.stop_timeout)
            code = 0 if box.manners.ends_in <= box.manners.stop_timeout else 137
            self.clock.call_later(grace, self._end, box, box.run, by, code)
        box.dying = True

    def end(self, box: Box, by: str, code: int, *, oom: bool = False) -> None:
        """The program ends by itself."""
        if oom:
            self._tell("oom", box)
            box.oom_killed = True
        self._end(box, box.run, by, code)

    def when_down(self, box: Box, reply: Reply) -> None:
        """Replies when it does not run; paused is running."""
        if box.is_up:
            box.waiting.append(lambda: reply(True))
        else:
            reply(True)

    def pause(self, box: Box, by: str) -> None:
        """Freeze it."""
        if box.status != "running" or box.dying:
            raise EngineRefused(409, f"cannot pause, it is {box.status}")
        box.status = "paused"
        self.journal.write("paused", box.name, by)
        self._tell("pause", box)

    def unpause(self, box: Box, by: str) -> None:
        """Let it go on."""
        if box.status != "paused":
            raise EngineRefused(409, "it is not paused")
        box.status = "running"
        self.journal.write("started", box.name, by, "again")
        self._tell("unpause", box)
        if box.served:
            self.journal.write("ready", box.name)

    def subscribe(self, since: float | None) -> Subscription:
        """What happens from now on, and what is recalled of what did since then."""
        recalled = [event for event in self._recalled if since is not None and event.at > since]
        subscription = Subscription(self.clock, self._rng, self._noise, recalled)
        self._heard_by.append(subscription)
        return subscription

    # -- what happens to it ----------------------------------------------------------------

    def put(self, name: str, labels: dict[str, str], manners: Manners, health: bool) -> Box:
        """A container that was not there before; it does not run."""
        self._made += 1
        box = Box(f"{self._made:012x}{name}", name, labels, manners, self.clock.wall())
        box.health = "starting" if health else None
        self.boxes[box.id] = box
        self.journal.write("created", name)
        self._tell("create", box)
        return box

    def create(self, name: str, like: Box) -> Box:
        """One with the labels and manners of another."""
        return self.put(name, like.labels, like.manners, like.health is not None)

    def hang_up(self, box: Box, by: str) -> None:
        """A signal that is for the program: it reads its configuration again."""
        if box.is_up:
            self._tell("kill", box, signal="1")

    def be_quiet(self) -> None:
        """From now on all events arrive, once and in order."""
        self._noise = Noise()
        for subscription in self._heard_by:
            subscription.noise = self._noise

    def remove(self, box: Box, by: str) -> None:
        """By force, running or not."""
        if box.is_up:
            self.signal(box, by, "9")
            self._end(box, box.run, by, 137)
        box.removed = True
        self.boxes.pop(box.id, None)
        self.journal.write("removed", box.name, by)
        self._tell("destroy", box)

    def rename(self, box: Box, name: str) -> None:
        """Call it otherwise."""
        box.name = name
        self.journal.write("created", name)
        self._tell("rename", box)

    def cut(self) -> None:
        """All connections end; calls under way come to nothing, but are carried out."""
        self.away = True
        for subscription in self._heard_by:
            subscription.end()
        self._heard_by.clear()

    def restart(self, *, live_restore: bool) -> None:
        """It comes back, knows nothing of what happened, and may have taken everybody down."""
        self.cut()
        if not live_restore:
            for box in tuple(self.boxes.values()):
                if box.is_up:
                    self._end(box, box.run, "engine", 0)
        self._recalled.clear()

    def busy(self, box: Box, seconds: float) -> None:
        """It computes, whoever asked for that."""
        if box.is_up and box.busy_since is None:
            box.busy_since = self.clock.time()
            self.journal.write("busy", box.name)
            self.clock.call_later(seconds, self.calm, box)

    def calm(self, box: Box) -> None:
        """It has nothing to do."""
        if box.busy_since is not None:
            box.cpu, box.busy_since = box.cpu_seconds(self.clock.time()), None
            self.journal.write("calm", box.name)

    def flap(self, box: Box, health: str) -> None:
        """Its healthcheck says something else now."""
        if box.health is not None and box.is_up and box.served:
            box.health = health
            self._tell("health_status", box)

    # -- what follows ----------------------------------------------------------------------

    def _started(self, box: Box, by: str, reply: Reply) -> None:
        box.starting = False
        waiting, box.waiting = box.waiting, []
        trouble = box.manners.trouble
        if box.removed:
            reply(ContainerGone("removed while it was started"))
        elif trouble in ("refused", "no image"):
            self.journal.write("refused", box.name, by)
            status, why = (500, "port in use") if trouble == "refused" else (404, "No such image")
            reply(EngineRefused(status, why))
        else:
            self.run(box, by)
            reply(True)
        for resume in waiting:
            resume()

    def run(self, box: Box, by: str) -> None:
        """It runs from now on."""
        box.status, box.dying, box.served, box.oom_killed = "running", False, False, False
        box.run += 1
        box.started_at = self.clock.wall()
        box.health = None if box.health is None else "starting"
        self.journal.write("started", box.name, by)
        self._tell("start", box)
        manners = box.manners
        if box.ready_at_once:
            self.serve(box, box.run)
        elif not manners.trouble:
            self.clock.call_later(manners.ready_in, self.serve, box, box.run)
        if manners.trouble == "dies":
            self.clock.call_later(max(manners.ready_in, 0.05), self._end, box, box.run, "crash", 1)

    def serve(self, box: Box, run: int) -> None:
        """The program is ready, if this run is not over."""
        if box.run != run or not box.is_up or box.served:
            return
        box.served = True
        box.wrote("ready", self.clock.wall())
        self.journal.write("ready", box.name)
        if box.health is not None:
            self.flap(box, "healthy")

    def _end(self, box: Box, run: int, by: str, code: int) -> None:
        if box.run != run or not box.is_up:
            return
        self.calm(box)
        box.status, box.exit_code = "exited", code
        box.finished_at = self.clock.wall()
        self.journal.write("down", box.name, by, code)
        self._tell("die", box)
        if box.dying:
            self._tell("stop", box)
        box.dying, box.served = False, False
        waiting, box.waiting = box.waiting, []
        for resume in waiting:
            resume()

    @staticmethod
    def _answer(reply: Reply, do: Callable[[], None]) -> None:
        try:
            do()
        except EngineError as error:
            reply(error)

    def _tell(self, action: str, box: Box, **attributes: str) -> None:
        event = EngineEvent(action, box.id, self.clock.wall(), attributes)
        self._recalled.append(event)
        for subscription in self._heard_by:
            subscription.hear(event)


QUICK = 0.5
_LATENCIES = ((0.0, 0.0), (0.001, 0.001), (0.05, 0.002), (0.002, 0.05))
"""There and back, of a call."""

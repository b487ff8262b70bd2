"""Thousands of interleavings of one container's life, on the lifecycle code of production.

The engine here behaves as the real one was measured to: while a container is being stopped it
says "running", and a start sent then is lost.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest

from app.containers.lifecycle import (
    Action,
    Event,
    Killed,
    LeasesCounted,
    Life,
    Lost,
    Needed,
    Seen,
    SleepAsked,
    State,
    StopEnded,
    WakeEnded,
    step,
)
from app.containers.observed import Standing

STEPS = 400


@dataclass
class Engine:
    """One container: ``down``, ``starting``, ``up`` or ``dying``. ``run`` numbers its starts."""

    state: str = "down"
    run: int = 0
    clean: bool = True

    def start(self) -> None:
        if self.state == "down":
            self.state, self.run = "starting", self.run + 1

    def stop(self) -> None:
        if self.state in ("up", "starting"):
            self.state, self.clean = "dying", True

    def crash(self) -> None:
        if self.state in ("up", "starting"):
            self.state, self.clean = "down", False

    @property
    def seen(self) -> tuple[Standing, str | None, str | None]:
        if self.state == "down":
            return Standing.DOWN, None, None if self.clean else "exit 1"
        return Standing.UP, f"run{self.run}", None


@dataclass
class World:
    """The life, its worker, its leases, an engine, and everything that may not happen."""

    rng: random.Random
    now: float = 0.0
    life: Life = field(default_factory=lambda: Life(State.MISSING, since=0.0))
    engine: Engine = field(default_factory=Engine)
    outsider: bool = False
    leases: int = 0
    work: Action | None = None
    started: bool = False
    starts_sent: int = 0
    wakes: int = 0
    echoes: list[Seen] = field(default_factory=list)

    def tell(self, event: Event) -> None:
        self.now += 0.001
        before = self.life
        self.life, actions = step(before, event, self.now, self.rng)
        if self.life.attempt != before.attempt:
            self.work, self.started = None, False
        for action in actions:
            self.begin(action)
        if self.life.state is State.AWAKE and before.state is State.WAKING:
            assert self.life.run == f"run{self.engine.run}"

    def begin(self, action: Action) -> None:
        if action is Action.ABANDON:
            self.work = None
            return
        assert self.work is None or self.life.attempt, "a new worker only with a new number"
        self.work, self.started = action, False
        self.wakes += action is Action.START
        if action is Action.STOP:
            assert self.leases == 0, "stopped under a lease"

    def work_on(self) -> None:
        """One step of the worker that is busy, if there is one."""
        match self.work:
            case Action.START | Action.PROBE:
                self._wake()
            case Action.STOP | Action.AWAIT_DOWN:
                if self.work is Action.STOP and not self.started:
                    self.started = True
                    self.engine.stop()
                elif self.engine.state == "down":
                    self._report(StopEnded(self.life.attempt))
                elif self.engine.state == "up":
                    self._report(StopEnded(self.life.attempt, fault="it runs on"))
            case Action.RECHECK:
                self._report(LeasesCounted(self.leases))

    def _wake(self) -> None:
        if self.work is Action.START and not self.started:
            self.started = True
            assert self.engine.state != "dying" or self.outsider, "a start that will be lost"
            self.starts_sent += self.engine.state == "down"
            self.engine.start()
        elif self.engine.state == "down":
            self._report(WakeEnded(self.life.attempt, fault="it died"))
        elif self.engine.state == "up":
            self._report(WakeEnded(self.life.attempt, run=f"run{self.engine.run}", up=True))

    def _report(self, event: Event) -> None:
        self.work = None
        self.tell(event)

    def observe(self) -> None:
        standing, run, fault = self.engine.seen
        self.echoes.append(Seen(standing, self.now, run, fault))

    def hear(self) -> None:
        if self.echoes:
            self.tell(self.echoes.pop(self.rng.randrange(len(self.echoes))))

    def pass_time(self) -> None:
        self.now += self.rng.choice([0.01, 1.0, 30.0])
        if self.engine.state == "dying" and self.rng.random() < 0.5:
            self.engine.state = "down"
        elif self.engine.state == "starting" and self.rng.random() < 0.7:
            self.engine.state = "up"


def quietly(world: World) -> None:
    """No more accidents: time passes, the worker works, the engine is asked."""
    for _ in range(200):
        world.pass_time()
        world.work_on()
        world.echoes.clear()
        world.observe()
        world.hear()


@pytest.mark.parametrize("seed", range(150))
def test_without_outsiders_no_start_is_lost_and_each_wake_starts_once(seed: int) -> None:
    world = World(random.Random(seed))
    world.tell(Seen(Standing.DOWN, 0.0))
    for _ in range(STEPS):
        chance = world.rng.random()
        if chance < 0.2:
            world.tell(Needed())
        elif chance < 0.3:
            world.leases += 1
            if world.life.state is State.DRAINING:
                world.tell(LeasesCounted(world.leases))
        elif chance < 0.42:
            world.leases = max(0, world.leases - 1)
        elif chance < 0.55:
            world.tell(SleepAsked(world.leases))
        elif chance < 0.62:
            world.observe()
        elif chance < 0.68:
            world.hear()
        elif chance < 0.85:
            world.work_on()
        else:
            world.pass_time()
        if world.life.state is State.AWAKE:
            assert world.engine.state == "up", "said ready, but it is not"
    assert world.starts_sent <= world.wakes
    world.tell(Needed())
    quietly(world)
    assert world.life.state is State.AWAKE
    assert world.engine.state == "up"
    assert world.starts_sent == world.wakes == world.engine.run


@pytest.mark.parametrize("seed", range(150))
def test_whatever_happens_a_need_is_served_in_the_end(seed: int) -> None:
    world = World(random.Random(seed), outsider=True)
    for _ in range(STEPS):
        chance = world.rng.random()
        if chance < 0.15:
            world.tell(Needed())
        elif chance < 0.25:
            world.tell(SleepAsked(world.leases))
        elif chance < 0.30:
            world.engine.crash()
        elif chance < 0.35 and world.engine.state in ("up", "starting"):
            world.engine.stop()
            world.tell(Killed())
        elif chance < 0.38:
            world.engine.start()
        elif chance < 0.40:
            world.tell(Lost("the engine is away"))
        elif chance < 0.55:
            world.observe()
        elif chance < 0.65:
            world.hear()
        elif chance < 0.85:
            world.work_on()
        else:
            world.pass_time()
    for _ in range(40):
        quietly(world)
        world.now += 1000.0
        world.tell(Needed())
        quietly(world)
    assert world.life.state is State.AWAKE
    assert world.engine.state == "up"
    assert world.life.run == f"run{world.engine.run}"

"""Plays a plan: gateways of production code, their users and their troubles, on a fake engine."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import replace

from app.containers.fleet import Fleet
from app.containers.policy import FleetPolicy
from app.containers.view import FleetEvent
from tests.containers.simulation.accidents import befall
from tests.containers.simulation.box import Box
from tests.containers.simulation.client import Client
from tests.containers.simulation.clock import VirtualClock
from tests.containers.simulation.engine import FakeEngine
from tests.containers.simulation.peers import Redis, Rights
from tests.containers.simulation.plan import CHECK_INTERVAL, STARTUP_TIMEOUT, BoxPlan, Plan
from tests.containers.simulation.record import Journal
from tests.containers.simulation.users import Users

SETTLE = dict.fromkeys(("broken", "noisy", "everything"), 60.0)
"""Longer than the backoff after as many failures as a schedule has time for."""
SETTLE |= dict.fromkeys(("by hand", "engine"), 35.0)
"""Longer than it takes to notice what no event told."""
SETTLE |= dict.fromkeys(("calm", "gateway", "newcomers"), 10.0)
"""Longer than it takes to reach all that is there."""
REST = 45.0
"""Longer than anything may idle, and its stop, after the last use."""
WANTED_WITHIN = 40.0


class Gateway:
    """One process with a fleet; it may die and be started again, knowing nothing."""

    def __init__(self, world: World, number: int) -> None:
        self.world = world
        self.name = f"gate{number}"
        self.lives = 0
        self.fleet: Fleet | None = None

    async def start(self) -> None:
        """Begin a new life."""
        world, self.lives = self.world, self.lives + 1
        life = self.lives
        fleet = Fleet(
            Client(world.engine, self.name),  # type: ignore[arg-type]
            FleetPolicy(startup_timeout=STARTUP_TIMEOUT, check_interval=CHECK_INTERVAL),
            clock=world.clock.time,
            wall=world.clock.wall,
            rng=world.rng,
            peers=Rights(
                world.redis,
                self.peer,
                lambda: self.lives == life and self.fleet is not None,
            ),
        )
        fleet.watch(self._note)
        self.fleet = fleet
        if world.plan.gateways > 1:
            world.redis.join(self.peer, fleet)
        world.journal.write("gateway", by=self.name, detail="starts")
        await fleet.__aenter__()

    @property
    def peer(self) -> str:
        """What the others call it, in this life."""
        return f"{self.name}.{self.lives}"

    async def die(self, *, politely: bool = False) -> None:
        """As with SIGKILL: nobody is told, and who was served is cut off. ``politely``: the other
        gateways know."""
        fleet, self.fleet = self.fleet, None
        if fleet is None:
            return
        self.world.journal.write("gateway", by=self.name, detail="dies")
        if politely:
            self.world.redis.leave(self.peer)
        else:
            self.world.redis.die(self.peer)
        self.world.users.cut(self.name)
        await fleet.__aexit__(None, None, None)

    def _note(self, event: FleetEvent) -> None:
        detail = (event.was.value, event.state.value, event.cause, event.detail)
        self.world.journal.write("life", event.name, self.name, detail)


class World:
    """Everything there is in one schedule."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.rng = random.Random(plan.seed ^ 0x5EED)
        self.clock = VirtualClock()
        self.journal = Journal(self.clock.time)
        self.engine = FakeEngine(self.clock, self.journal, self.rng, plan.noise)
        self.redis = Redis(self.clock, self.rng)
        self.users = Users(self.clock, self.journal)
        self.gateways = [Gateway(self, number) for number in range(plan.gateways)]
        self._tasks: set[asyncio.Task[None]] = set()
        for box in plan.boxes:
            self._put(box)

    def run(self) -> list[str]:
        """From the first to the last second. Exceptions that nobody caught."""
        self.clock.play(self._play())
        return self.clock.broken

    def box(self, name: str) -> Box | None:
        """The container that has this name now."""
        for box in self.engine.boxes.values():
            if box.name == name:
                return box
        return None

    def begin(self, work: Callable[[], object]) -> None:
        """Do it beside everything else."""
        task = self.clock.create_task(work())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _play(self) -> None:
        for gateway in self.gateways:
            self.begin(gateway.start)
        for happening in self.plan.happenings:
            await asyncio.sleep(happening.at - self.clock.time())
            befall(self, happening)
        await self._quiet()

    async def _quiet(self) -> None:
        """No more accidents. What is wanted then must run; what is not must rest."""
        self._heal()
        await asyncio.sleep(SETTLE[self.plan.kind])
        self.journal.write("settled")
        wanted = [box.name for box in self.plan.boxes if self.rng.random() < 0.5]
        callers = [
            self.users.request(self.rng.choice(self.gateways), name, WANTED_WITHIN, hold=REST)
            for name in wanted
        ]
        await self.users.until_served(callers)
        needed = {need for name in wanted for need in self.plan.closure(name)}
        for name in sorted(needed):
            self._expect("should run", name)
        for caller in callers:
            caller.cancel()
        # What others depend on goes to sleep one look after them.
        await asyncio.sleep(REST + CHECK_INTERVAL * len(self.plan.boxes))
        for box in self.plan.boxes:
            self._expect("may stay" if self._may_stay(box) else "should rest", box.name)
        for gateway in self.gateways:
            await gateway.die()

    def _may_stay(self, box: BoxPlan) -> bool:
        """It is critical, or something that is critical needs it."""
        return any(
            other.stays and box.name in self.plan.closure(other.name) for other in self.plan.boxes
        )

    def _expect(self, what: str, name: str) -> None:
        box = self.box(name)
        views = [gateway.fleet.view(name).state.value for gateway in self.gateways if gateway.fleet]
        standing = None if box is None else box.standing
        self.journal.write(what, name, detail=(standing, tuple(views)))

    def _heal(self) -> None:
        self.journal.write("quiet")
        self.engine.away = self.engine.hangs = self.redis.away = False
        self.engine.be_quiet()
        for box in self.engine.boxes.values():
            box.manners.trouble = ""
            box.manners.ready_in = min(box.manners.ready_in, 1.0)
            self.engine.serve(box, box.run)
            self.engine.calm(box)
        for plan in self.plan.boxes:
            if self.box(plan.name) is None:
                self._put(plan)
        for gateway in self.gateways:
            if gateway.fleet is None:
                self.begin(gateway.start)

    def _put(self, plan: BoxPlan) -> None:
        box = self.engine.put(plan.name, plan.labels, replace(plan.manners), plan.health)
        if plan.runs:
            self.engine.run(box, "before")

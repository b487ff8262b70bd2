"""The containers that sleep when nobody calls: what the rest of the program uses of them."""

from __future__ import annotations

import asyncio
import difflib
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from types import TracebackType

from app.containers.addresses import Address, Addresses
from app.containers.conductor import Conductor
from app.containers.engine import Engine
from app.containers.engine_link import EngineLink
from app.containers.idle import Use, is_due, judge, refuses_sleep
from app.containers.idle_monitor import tick
from app.containers.lifecycle import SleepAsked, State, Yielded
from app.containers.member import ANOTHER_GATEWAY, IDLE, Lease, Member
from app.containers.peers import Nobody, Peers
from app.containers.policy import FleetPolicy
from app.containers.running_hours import OPERATOR, RunningHours
from app.containers.veto_round import VetoRound
from app.containers.view import Automation, ContainerView, FleetEvent, FleetObserver
from app.errors import (
    AutomationOff,
    ContainerFailed,
    ContainerInUse,
    ContainerSlow,
    ContainerUnknown,
)
from app.waiting import set_within

FIRST_LOOK_SECONDS = 2.0
A_REQUEST = "a request"
RETRY_SECONDS = 5.0
"""After which it makes sense to ask again where nothing better is known."""


class Fleet:
    """All containers of ``engine`` that opted in, kept awake while they are used.

    Enter it to let it work; nothing is raised for want of an engine, then or later. The engine
    belongs to the fleet from then on, and is closed with it; containers are left as they are.
    All methods belong to the event loop in which it was entered.
    """

    def __init__(
        self,
        engine: Engine,
        policy: FleetPolicy,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        rng: random.Random | None = None,
        observer: FleetObserver | None = None,
        peers: Peers | None = None,
    ) -> None:
        # It blurs backoffs, and keeps no secrets.
        chance = rng or random.Random()  # noqa: S311  # nosec B311
        self._engine = engine
        self._policy = policy
        self._clock = clock
        self._conductor = Conductor(
            engine,
            policy,
            clock=clock,
            wall=wall,
            rng=chance,
            observer=observer,
            peers=peers or Nobody(),
            refresh=self._relist,
        )
        self._link = EngineLink(engine, policy, self._conductor, clock=clock, wall=wall, rng=chance)
        self._hours = RunningHours(self._conductor, wall=wall)
        self._vetoes = VetoRound(engine, clock=clock, deadline=policy.veto_seconds)
        self._addresses = Addresses(engine)
        self._tasks: list[asyncio.Task[object]] = []

    async def __aenter__(self) -> Fleet:
        # Vetoes may take a while to answer: what is quick goes first.
        steps = {
            "relist": self._relist_if_linked,
            "running hours": self._wake_by_hours,
            "idle": self._ask_idle,
        }
        self._tasks = [
            asyncio.create_task(self._link.run(), name="engine link"),
            asyncio.create_task(tick(steps, self._policy.check_interval), name="idle monitor"),
        ]
        # The link goes on by itself; until it has an answer, automation says that it is off.
        await set_within(self._link.answered, FIRST_LOOK_SECONDS)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        await self._conductor.aclose()
        await self._engine.aclose()

    @property
    def automation(self) -> Automation:
        """Whether containers can be looked after at all, and what is in the way."""
        policy = self._policy
        if self._link.trouble is not None:
            return Automation(False, self._link.trouble)
        if not policy.auto_start and not policy.auto_stop:
            return Automation(False, "CONTAINER_AUTO_START and CONTAINER_AUTO_STOP are off")
        if not policy.auto_start:
            return Automation(True, "CONTAINER_AUTO_START is off: nothing is started")
        if not policy.auto_stop:
            return Automation(True, "CONTAINER_AUTO_STOP is off: nothing is stopped")
        return Automation(True)

    def views(self) -> list[ContainerView]:
        """All containers, by name."""
        members = self._conductor.members
        return [self._view(members[name]) for name in sorted(members)]

    def view(self, name: str) -> ContainerView:
        """One container. Raises ``ContainerUnknown``."""
        return self._view(self._member(name))

    def provider(self, capability: str) -> str | None:
        """The container that provides it, whatever its state; the first by name of several."""
        return self._conductor.graph.providers.get(capability)

    def server_of(self, path: str) -> str | None:
        """The container whose ``drawbridge.routes`` have ``path``, whatever its state."""
        return self._conductor.graph.server_of(path)

    async def address(self, name: str, *, anew: bool = False) -> Address:
        """See ``Addresses.of``. Raises ``ContainerUnknown`` as well."""
        return await self._addresses.of(self._member(name), anew=anew)

    def is_ready(self, name: str) -> bool:
        """Whether it can be used now, and all that it depends on. Raises ``ContainerUnknown``."""
        return self._conductor.is_ready(self._member(name))

    def lease(self, name: str, silent_after: float | None = None, *, is_use: bool = True) -> Lease:
        """Use it: from now on, until released, it is not put to sleep. It is not woken either.

        What is not ``is_use`` is no reason for it to stay up once it is released.

        With ``silent_after`` it counts only for so many seconds after the last ``touch``; see
        ``Lease``. Take it first, and wait with ``ready`` then. Raises ``ContainerUnknown``.
        """
        note = self._conductor.touched if is_use else self._conductor.counted
        lease = Lease(self._member(name), note, self._clock)
        if silent_after is not None:
            lease.stream(silent_after)
        return lease

    def wake(self, name: str, cause: str = A_REQUEST) -> None:
        """Begin to wake it; returns at once, whatever the engine does. ``ContainerUnknown``."""
        member = self._member(name)
        if self._policy.auto_start and self._link.trouble is None:
            self._conductor.need(member, cause)

    async def ready(self, name: str, within: float, cause: str = A_REQUEST) -> None:
        """Wake it, and wait until it can be used, ``within`` seconds at most. ``cause`` says for
        whom or what.

        Raises ``ContainerUnknown``, ``ContainerFailed``, ``ContainerSlow``, ``AutomationOff``.
        Who cancels this only stops waiting: the wake goes on, for the others.
        """
        if name not in self._conductor.members and self._link.trouble is not None:
            # Nothing may be said about what there is: the engine was never asked.
            raise AutomationOff(name, self._link.trouble, retry_after=RETRY_SECONDS)
        member = self._member(name)
        try:
            async with asyncio.timeout(within):
                await self._until_ready(member, cause)
        except TimeoutError:
            detail = f"{name} was not ready within {within:g} s; it is {member.life.state.value}"
            raise ContainerSlow(name, detail, retry_after=RETRY_SECONDS) from None

    async def sleep(self, name: str, cause: str = OPERATOR, *, reason: str = OPERATOR) -> None:
        """A wish: put it to sleep now, before its time, and return when it is down. ``cause``
        says whose; ``reason`` is counted. A veto that cannot be asked counts but for operators.

        Raises ``ContainerError`` if it is in use, needed by another one that is not asleep, or if
        a veto holds; ``ContainerUnknown``, ``AutomationOff``.
        """
        member = self._member(name)
        if self._link.trouble is not None:
            raise AutomationOff(name, self._link.trouble, retry_after=RETRY_SECONDS)
        if member.life.state is State.ASLEEP:
            return
        veto = await self._vetoes.ask(member, self._policy.idle_timeout_of(member.spec))
        counts = veto is not None and (veto.certain or reason != OPERATOR)
        refusal = refuses_sleep(self._use(member)) or (veto if counts else None)
        if refusal is not None:
            raise ContainerInUse(name, f"{name} is not put to sleep: {refusal.reason}")
        self._ask_sleep(member, reason, cause)
        if not await self._went_down(member, member.sleeps):
            if self._link.trouble is not None:
                raise AutomationOff(name, self._link.trouble, retry_after=RETRY_SECONDS)
            now = member.life.error or f"it is {member.life.state.value}"
            raise ContainerInUse(name, f"{name} was not put to sleep: {now}")

    async def idle_check(self) -> list[str]:
        """Put everything to sleep that may, what depends on others first; who that was."""
        slept: list[str] = []
        while True:
            asked = [(member, member.sleeps) for member in await self._ask_idle()]
            down = await asyncio.gather(*(self._went_down(*one) for one in asked))
            names = [
                member.name for (member, _), is_down in zip(asked, down, strict=True) if is_down
            ]
            slept.extend(names)
            if not names:
                return slept

    def let_stop(self, container_id: str, *, wish: bool) -> bool:
        """Another gateway asks whether it may stop it: if nobody here uses it, nobody does from
        now on until it is down, or the other gives its right back. Its ``wish`` is an operator's.
        """
        member = self._by_id(container_id)
        if member is None:
            return True
        state = member.life.state
        if self._link.trouble is not None or state is State.WAKING:
            return False
        if state not in (State.AWAKE, State.DRAINING) and not member.life.up:
            self._conductor.apply(member, Yielded())
            return True
        use = replace(self._use(member), auto_stop=True)
        if state is State.DRAINING:
            # We wanted to stop it ourselves, at the same moment.
            use = replace(use, state=State.AWAKE)
        kept = refuses_sleep(use) if wish else judge(use)
        if kept is not None and not kept.may_sleep:
            return False
        self.yield_to_stop(container_id)
        return True

    def container_ids(self) -> list[str]:
        """Everything that is looked after here."""
        return [member.container_id for member in self._conductor.members.values()]

    def yield_to_stop(self, container_id: str) -> None:
        """Another gateway stops it, be it in use here: nobody is let through to it until it is
        down, or the other gives its right back."""
        member = self._by_id(container_id)
        if member is not None:
            member.going_down(ANOTHER_GATEWAY)
            self._conductor.apply(member, Yielded())

    def subscribe(self) -> AbstractAsyncContextManager[AsyncIterator[FleetEvent]]:
        """``async with fleet.subscribe() as events: async for event in events``.

        Who reads too slowly is dropped: the iteration ends, as it does when the fleet closes.
        """
        return self._conductor.events.subscribe()

    def watch(self, callback: Callable[[FleetEvent], None]) -> None:
        """Have ``callback`` told of every change of state, in passing: quick, without raising."""
        self._conductor.watchers.append(callback)

    async def _until_ready(self, member: Member, cause: str) -> None:
        began = self._clock()
        while True:
            if self._conductor.is_ready(member):
                self._conductor.need(member, cause)
                return
            if self._link.trouble is not None:
                raise AutomationOff(member.name, self._link.trouble, retry_after=RETRY_SECONDS)
            if not self._policy.auto_start:
                raise AutomationOff(member.name, "CONTAINER_AUTO_START is off")
            changed = self._conductor.changed
            self._conductor.need(member, cause)
            self._raise_if_hopeless(member, began)
            await changed.wait()

    def _raise_if_hopeless(self, member: Member, began: float) -> None:
        for name in (*self._conductor.graph.closure(member.name), member.name):
            other = self._conductor.members[name]
            life = other.life
            whose = name if other is member else f"{name}, which {member.name} depends on,"
            if life.state is State.MISSING:
                detail = f"{whose} is not there: {life.error}"
                raise ContainerFailed(member.name, detail, retry_after=RETRY_SECONDS)
            if life.state is State.FAILED:
                kind = ContainerSlow if life.slow and life.since >= began else ContainerFailed
                left = max(1.0, life.retry_at - self._clock())
                detail = f"{whose} does not come up: {life.error}"
                raise kind(member.name, detail, retry_after=left)

    async def _ask_idle(self) -> list[Member]:
        """Begin to put to sleep whatever may; does not wait for it."""
        if self._link.trouble is not None:
            return []
        members = tuple(self._conductor.members.values())
        due = [member for member in members if is_due(judge(self._use(member)))]
        asked = await asyncio.gather(*(self._sleep_if_free(member) for member in due))
        return [member for member, is_free in zip(due, asked, strict=True) if is_free]

    async def _sleep_if_free(self, member: Member) -> bool:
        await self._vetoes.ask(member, self._policy.idle_timeout_of(member.spec))
        # Asking may have taken seconds, in which everything else may have changed.
        is_free = self._link.trouble is None and judge(self._use(member)).may_sleep
        if is_free:
            self._ask_sleep(member, IDLE)
        return is_free

    async def _wake_by_hours(self) -> None:
        if self._policy.auto_start and self._link.trouble is None:
            self._hours.wake_whose_time_it_is()

    def _ask_sleep(self, member: Member, reason: str, cause: str | None = None) -> None:
        member.going_down(reason, cause)
        self._conductor.apply(member, SleepAsked(member.leases))

    async def _went_down(self, member: Member, sleeps: int) -> bool:
        """Wait for the end of a sleep that was asked for; each stage has its own deadline."""
        while member.sleeps == sleeps and member.life.state in (State.DRAINING, State.STOPPING):
            await self._conductor.changed.wait()
        return member.sleeps > sleeps

    async def _relist(self) -> None:
        await self._link.relist()

    async def _relist_if_linked(self) -> None:
        if self._link.trouble is None:
            await self._link.relist()

    def _by_id(self, container_id: str) -> Member | None:
        members = self._conductor.members.values()
        return next((one for one in members if one.container_id == container_id), None)

    def _member(self, name: str) -> Member:
        member = self._conductor.members.get(name)
        if member is not None:
            return member
        known = sorted(self._conductor.members)
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known) or 'none'}"
        raise ContainerUnknown(name, f"no container {name!r} has opted in; {hint}")

    def _use(self, member: Member) -> Use:
        resting = (State.ASLEEP, State.MISSING)
        members = self._conductor.members
        dependants = tuple(
            name
            for name in self._conductor.graph.dependants(member.name)
            if members[name].life.state not in resting
            and (members[name].life.state is not State.FAILED or members[name].life.up)
        )
        in_hours = self._hours.begun(member)
        return Use(
            state=member.life.state,
            priority=member.spec.priority,
            leases=member.leases,
            idle_seconds=member.idle_seconds(self._clock()),
            idle_timeout=self._policy.idle_timeout_of(member.spec),
            dependants=dependants,
            auto_stop=self._policy.auto_stop,
            up=member.life.up,
            in_hours=in_hours,
            hours_left=self._hours.left(member) if in_hours else None,
            veto=self._vetoes.objection(member),
        )

    def _view(self, member: Member) -> ContainerView:
        now = self._clock()
        use = self._use(member)
        verdict = judge(use)
        return ContainerView(
            name=member.name,
            container_id=member.container_id[:12],
            image=member.image,
            state=member.life.state,
            priority=member.spec.priority,
            sleep=member.spec.sleep,
            provides=member.spec.provides,
            leases=member.leases,
            idle_seconds=use.idle_seconds,
            sleeps_in=verdict.sleeps_in,
            keeper=verdict.keeper,
            keeps_awake=verdict.reason,
            error=member.life.error,
            since=now - member.life.since,
            idle_timeout=use.idle_timeout,
            awake_seconds=member.awake_seconds(now),
            depends_on=self._conductor.graph.needs.get(member.name, ()),
            doubts=self._vetoes.doubts(member),
        )

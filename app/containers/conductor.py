"""Carries out what the lifecycle decides: one worker at most for each container."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

import structlog

from app.containers.broadcast import Broadcast
from app.containers.dependencies import Graph
from app.containers.engine import Engine
from app.containers.lifecycle import (
    Action,
    Event,
    Killed,
    LeasesCounted,
    Life,
    Lost,
    Needed,
    Objected,
    State,
    StopEnded,
    WakeEnded,
    Yielded,
    step,
)
from app.containers.member import ANOTHER_GATEWAY, BY_HAND, DIED, IDLE, Member
from app.containers.observed import EngineError
from app.containers.peers import Peers, Right
from app.containers.policy import FleetPolicy
from app.containers.start_slots import StartSlots
from app.containers.view import FleetEvent, FleetObserver
from app.containers.work import Job, await_down, put_down, wake
from app.containers.yielding import yield_to_another

log = structlog.get_logger(__name__)

STARTS_AT_ONCE = 3
DRAIN_SECONDS = 0.05
"""Between closing the gate and the second look at the leases."""

OBJECTED_SECONDS = 5.0
"""After another gateway objected to a stop, until it is asked again."""


class Conductor:
    """Owns the members and their workers. ``refresh`` brings the list of containers up to date."""

    def __init__(
        self,
        engine: Engine,
        policy: FleetPolicy,
        *,
        clock: Callable[[], float],
        wall: Callable[[], float],
        rng: random.Random,
        observer: FleetObserver | None,
        peers: Peers,
        refresh: Callable[[], Awaitable[None]],
    ) -> None:
        self.members: dict[str, Member] = {}
        self.graph = Graph()
        self.events: Broadcast[FleetEvent] = Broadcast()
        self.watchers: list[Callable[[FleetEvent], None]] = []
        self.changed = asyncio.Event()
        """Set, and replaced, when anything changes: who waits looks at the one it saw."""
        self._engine = engine
        self._policy = policy
        self._clock = clock
        self._wall = wall
        self._rng = rng
        self._observer = observer
        self._peers = peers
        self._refresh = refresh
        self._slots = StartSlots(STARTS_AT_ONCE)
        self._workers: set[asyncio.Task[None]] = set()

    def apply(self, member: Member, event: Event) -> None:
        """Tell the lifecycle, remember what it says, and begin what it wants. Never blocks."""
        now = self._clock()
        before = member.life
        member.life, actions = step(before, event, now, self._rng)
        if member.life.state is not before.state or member.life.attempt != before.attempt:
            cause = _cause(member, before, actions)
            self._account(member, before, now)
            self._publish(member, before, cause)
        if member.life != before:
            self.changed.set()
            self.changed = asyncio.Event()
        member.dying = isinstance(event, Killed) or (
            member.dying and member.life.state is State.STOPPING
        )
        if member.right is not None and member.life.state not in (State.DRAINING, State.STOPPING):
            self._give_back(member.right)
            member.right = None
        for action in actions:
            self._begin(member, action)

    def _give_back(self, right: Right) -> None:
        task = asyncio.create_task(right.give_back(), name="give back")
        self._workers.add(task)
        task.add_done_callback(self._workers.discard)

    def need(self, member: Member, cause: str) -> None:
        """``cause`` needs it, and so all that it depends on. Counts as use."""
        for name in (*self.graph.closure(member.name), member.name):
            other = self.members.get(name)
            if other is not None:
                other.used_at = self._clock()
                if other.life.state in (State.ASLEEP, State.FAILED, State.STOPPING):
                    other.wake_cause = cause if other is member else f"{member.name}, {cause}"
                self.apply(other, Needed())

    def is_ready(self, member: Member) -> bool:
        """Awake, and so is all that it depends on."""
        needs = (self.members.get(name) for name in self.graph.closure(member.name))
        return member.life.state is State.AWAKE and all(
            need is not None and need.life.state is State.AWAKE for need in needs
        )

    def touched(self, member: Member) -> None:
        """A lease was taken or given back."""
        member.used_at = self._clock()
        if member.leases:
            self.apply(member, LeasesCounted(member.leases))

    def counted(self, member: Member) -> None:
        """A lease was taken or given back that is no use: how long it has been idle goes on."""
        if member.leases:
            self.apply(member, LeasesCounted(member.leases))

    async def aclose(self) -> None:
        """End all work; what the engine was told it finishes by itself."""
        self.events.close()
        workers = tuple(self._workers)
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)

    def _begin(self, member: Member, action: Action) -> None:
        if member.worker is not None:
            member.worker.cancel()
            member.worker = None
        if action is Action.ABANDON:
            return
        worker = asyncio.create_task(
            self._work(member, action, member.life.attempt), name=f"{action.name} {member.name}"
        )
        member.worker = worker
        self._workers.add(worker)
        worker.add_done_callback(self._workers.discard)

    async def _work(self, member: Member, action: Action, attempt: int) -> None:
        try:
            event = await self._carry_out(member, action, attempt)
        except Exception as error:
            # A worker that vanished without a report would leave its container stuck for ever.
            log.exception("container_work_broke", name=member.name, action=action.name)
            event = _broken_off(action, attempt, f"internal error: {error}")
        if member.worker is asyncio.current_task():
            member.worker = None
        self.apply(member, event)
        if isinstance(event, Lost):
            await self._look_again(member)

    async def _look_again(self, member: Member) -> None:
        """One call had no answer: the engine may be there all the same, and should be asked."""
        try:
            await self._refresh()
        except EngineError as error:
            log.info("engine_does_not_answer", name=member.name, error=str(error))

    async def _carry_out(self, member: Member, action: Action, attempt: int) -> Event:
        job = Job(
            engine=self._engine,
            spec=member.spec,
            attempt=attempt,
            target=lambda: member.target,
            refresh=self._refresh,
            poke=member.poke,
            clock=self._clock,
            run=member.life.run,
        )
        startup_timeout = self._policy.startup_timeout_of(member.spec)
        match action:
            case Action.START:
                fault = await self._dependencies_ready(member)
                if fault is not None:
                    return WakeEnded(attempt, fault=fault)
                return await wake(job, startup_timeout, self._slots)
            case Action.PROBE:
                # It may have been granted to another before we knew of it: from now on we object.
                if await self._peers.is_taken(member.container_id):
                    member.going_down(ANOTHER_GATEWAY)
                    return Yielded()
                return await wake(job, startup_timeout, None)
            case Action.STOP:
                held = member.right is not None and member.right.holds
                if not held and not await self._others_agree(member):
                    return StopEnded(attempt, fault="another gateway uses it")
                return await put_down(job)
            case Action.AWAIT_DOWN:
                return await await_down(job)
            case Action.YIELD:
                given_back = self._peers.given_back(member.container_id)
                return await yield_to_another(job, given_back, lambda: member.dying)
        await asyncio.sleep(DRAIN_SECONDS)
        if not member.leases and not await self._others_agree(member):
            return Objected()
        return LeasesCounted(member.leases)

    async def _others_agree(self, member: Member) -> bool:
        """Have the other gateways close their gates to it; whether all did."""
        wish = member.sleep_reason != IDLE
        if not wish and self._clock() < member.ask_again_at:
            return False
        if member.right is not None:
            self._give_back(member.right)
        member.right = await self._peers.ask(member.container_id, wish=wish)
        if member.right is None:
            member.ask_again_at = self._clock() + OBJECTED_SECONDS
        return member.right is not None

    async def _dependencies_ready(self, member: Member) -> str | None:
        """Wait for everything that it needs; why that is hopeless, if it is.

        No deadline of its own: each of them becomes ready or fails within its startup timeout.
        """
        needs = self.graph.closure(member.name)
        for other in [self.members[name] for name in needs if name in self.members]:
            self.apply(other, Needed())
        for name in needs:
            while True:
                need = self.members.get(name)
                if need is None or need.life.state in (State.FAILED, State.MISSING):
                    why = need.life.error if need is not None else "it is gone"
                    return f"{name}, which it depends on, is not there: {why}"
                if need.life.state is State.AWAKE:
                    break
                changed = self.changed
                self.apply(need, Needed())
                if not changed.is_set():
                    await changed.wait()
        return None

    def _publish(self, member: Member, before: Life, cause: str) -> None:
        life = member.life
        if life.state is before.state:
            return
        detail, now = life.error or "", self._wall()
        event = FleetEvent(now, member.name, life.state, detail, cause, before.state)
        self.events.publish(event)
        for watch in self.watchers:
            watch(event)
        level = log.warning if life.state is State.FAILED else log.info
        level(
            "container",
            name=member.name,
            state=life.state.value,
            was=before.state.value,
            cause=cause,
        )
        if life.state is State.FAILED:
            log.warning("container_failed", name=member.name, error=detail, times=life.failures)

    def _account(self, member: Member, before: Life, now: float) -> None:
        """Keep the books: how long wakes took and containers were awake, and why they slept."""
        state = member.life.state
        usable = state in (State.AWAKE, State.DRAINING)
        if usable and member.awake_since is None:
            member.awake_since = now
        elif not usable and member.awake_since is not None:
            member.awake_before += now - member.awake_since
            member.awake_since = None
        if state is State.WAKING and before.state is not State.WAKING:
            member.wake_began = now
        elif state is not State.WAKING and member.wake_began is not None:
            self._count_wake(member, now - member.wake_began)
            member.wake_began = None
        if state is State.AWAKE:
            member.going_down(BY_HAND)
        if before.state is State.WAKING:
            member.ready_at = now
        if member.life.run not in (None, member.run):
            member.run, member.run_since = member.life.run, now
        went_down = before.up and not member.life.up and state is not State.MISSING
        if went_down and before.state in (State.STOPPING, State.AWAKE, State.DRAINING):
            member.sleeps += 1
            self._count_sleep(member, before)

    def _count_wake(self, member: Member, seconds: float) -> None:
        if self._observer is None:
            return
        failed = "slow" if member.life.slow else "failed"
        outcomes = {State.AWAKE: "ready", State.FAILED: failed}
        outcome = outcomes.get(member.life.state, "lost")
        self._observer.wake_ended(member.name, outcome, seconds)

    def _count_sleep(self, member: Member, before: Life) -> None:
        reason = member.sleep_reason if before.state is State.STOPPING else DIED
        member.going_down(BY_HAND)
        if self._observer is not None:
            self._observer.slept(member.name, reason)


def _broken_off(action: Action, attempt: int, fault: str) -> Event:
    """What to report of work that came to no end."""
    match action:
        case Action.STOP | Action.AWAIT_DOWN | Action.YIELD:
            return StopEnded(attempt, fault)
        case Action.RECHECK:
            return Objected()
    return WakeEnded(attempt, fault=fault)


def _cause(member: Member, before: Life, actions: tuple[Action, ...]) -> str:
    """Who or what moved it to where it is now."""
    match member.life.state:
        case State.WAKING if Action.PROBE in actions and before.state is not State.STOPPING:
            member.wake_cause = BY_HAND
        case State.AWAKE if before.state is State.DRAINING:
            return "used again"
        case State.AWAKE if before.state is State.STOPPING:
            return "kept"
        case State.DRAINING | State.STOPPING:
            return member.sleep_cause
        case State.ASLEEP if before.state is State.STOPPING:
            return member.sleep_cause
        case State.ASLEEP:
            return DIED if before.up else "found so"
    return member.wake_cause

"""The link to the engine: follow its events, list everything after each gap, come back by itself.

The order is: subscribe, then list, then read what was heard meanwhile. Nothing can slip between
the two, and no clock has to agree with another. Events only make us look sooner: what counts is
what an inspection says.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import NoReturn

import structlog

from app.containers.conductor import Conductor
from app.containers.dependencies import resolve
from app.containers.engine import Engine, EventStream
from app.containers.last_words import last_words
from app.containers.lifecycle import Killed, Life, Lost, Seen, State
from app.containers.member import Member
from app.containers.observed import (
    ContainerGone,
    EngineError,
    EngineEvent,
    EngineTimeout,
    EngineUnreachable,
    Inspected,
    Listed,
    Standing,
    ends_run,
)
from app.containers.policy import FleetPolicy
from app.containers.roster import Roster, read_roster
from app.containers.spec import ENABLE_LABEL, Spec

log = structlog.get_logger(__name__)

FIRST_PAUSE, LONGEST_PAUSE = 0.25, 10.0
QUIET_SECONDS = 300.0
"""A stream that says nothing for so long is renewed: it may be dead without our knowing."""
ECHO_SECONDS = 5.0
"""The longest that an event may be late."""
LOOKS = 5
"""How often a container is looked at for one event, should each look be overtaken."""
FORGET_SECONDS = 600.0
"""A container that was removed is shown as missing for so long."""


class EngineLink:
    """Feeds the ``conductor`` with what the engine says. ``run`` it in a task."""

    def __init__(
        self,
        engine: Engine,
        policy: FleetPolicy,
        conductor: Conductor,
        *,
        clock: Callable[[], float],
        wall: Callable[[], float],
        rng: random.Random,
    ) -> None:
        self.trouble: str | None = "the engine has not answered yet"
        """Why the engine cannot be used; ``None`` while it can."""
        self.answered = asyncio.Event()
        """Set when the engine was listed, or found unreachable, for the first time."""
        self._engine = engine
        self._policy = policy
        self._conductor = conductor
        self._clock = clock
        self._wall = wall
        self._rng = rng
        opted_in = () if policy.file_specs else (ENABLE_LABEL,)
        self._labels = (*opted_in, *policy.scope)
        self._stream: EventStream | None = None
        self._heard_at: float | None = None
        self._listing = asyncio.Lock()
        self._told: set[str] = set()
        self._specs: dict[str, Spec] = {}

    async def run(self) -> NoReturn:
        """Follow the engine until cancelled, through any number of disconnects."""
        failures = 0
        while True:
            began = self._clock()
            try:
                await self._follow()
            except EngineError as error:
                self._lost(error)
            except Exception as error:
                log.exception("engine_link_broke")
                self._lost(error)
            # A stream that lasted was no failure: proxies cut them every few minutes.
            if self.trouble is None and self._clock() - began > LONGEST_PAUSE:
                failures = 0
            if failures:
                pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(failures - 1, 16))
                await asyncio.sleep(pause * (0.75 + self._rng.random() / 2))
            failures += 1

    async def relist(self, *, full: bool = False) -> None:
        """Compare the engine's list with what we believe; ``full``: believe nothing.

        Raises ``EngineError``. If the engine cannot be reached, the stream is cut too: it may
        be hanging on a connection that died without a word.
        """
        try:
            async with self._listing:
                doubtful = await self._list(full)
            seen = await asyncio.gather(*(self._observe(member) for member in doubtful))
        except EngineUnreachable:
            if self._stream is not None:
                self._stream.close()
            raise
        # In one go, so that nobody finds the engine there and its containers still missing.
        if full:
            self._found()
        for member, observation in zip(doubtful, seen, strict=True):
            if observation is not None:
                self._conductor.apply(member, observation)

    async def _follow(self) -> None:
        stream = self._stream = await self._engine.events(self._labels, self._heard_at)
        try:
            await self.relist(full=True)
            while (event := await self._next(stream)) is not None:
                self._heard_at = event.at
                await self._heard(event)
        finally:
            self._stream = None
            stream.close()

    async def _next(self, stream: EventStream) -> EngineEvent | None:
        try:
            return await stream.next(QUIET_SECONDS)
        except EngineTimeout:
            return None

    async def _heard(self, event: EngineEvent) -> None:
        member = self._by_id(event.id)
        if member is not None:
            member.poke.set()
        if member is None or event.action in ("create", "rename", "destroy"):
            await self.relist()
        elif event.action == "kill":
            await self._heard_kill(member, event)
        else:
            await self._look(member)

    async def _heard_kill(self, member: Member, event: EngineEvent) -> None:
        """The first and only early sign of a stop that is not ours; ours needs no telling."""
        if member.life.state is State.STOPPING:
            return
        details = await self._inspect(member)
        is_up = details is not None and details.standing is Standing.UP
        usable = member.life.state in (State.AWAKE, State.DRAINING)
        if (
            details is not None
            and (is_up or usable)
            and not self._is_echo(member, event, details)
            and ends_run(event.attributes.get("signal", ""), details.stop_signal)
        ):
            # It may be down by now: that it was stopped, and did not die by itself, is worth
            # knowing, but not while it is being started, which the engine has not noted yet.
            self._conductor.apply(member, Killed(details.run))
        elif not is_up:
            await self._look(member)

    def _is_echo(self, member: Member, event: EngineEvent, details: Inspected) -> bool:
        """Whether it was sent to an older run: of a stop that is over, heard late.

        By the engine's wall clock, which may have been set since. But what is heard of a run that
        we have known for a while is no echo, nor is what was sent so long before it.
        """
        known_for = self._clock() - member.run_since if member.run == details.run else 0.0
        before = details.started_at - event.at
        return known_for <= ECHO_SECONDS and 0 < before <= ECHO_SECONDS

    async def _list(self, full: bool) -> list[Member]:
        """Take in the list; who has to be looked at closely."""
        asked_at = self._clock()
        listed = await self._engine.list(self._labels)
        members = self._conductor.members
        bound = {name: member.container_id for name, member in members.items()}
        roster = read_roster(listed, self._policy.file_specs, bound)
        self._take_in(roster, asked_at)
        doubtful = []
        for name, entry in roster.entries.items():
            if full or not _agrees(members[name], entry.listed):
                doubtful.append(members[name])
        return doubtful

    def _take_in(self, roster: Roster, asked_at: float) -> None:
        members = self._conductor.members
        new = []
        for name, entry in roster.entries.items():
            listed, member = entry.listed, members.get(name)
            if member is None:
                life = Life(State.MISSING, since=asked_at)
                member = members[name] = Member(entry.spec, listed.id, listed.image, life)
                new.append((member, listed))
            elif member.container_id != listed.id:
                new.append((member, listed))
            member.spec = entry.spec
            member.container_id, member.image = listed.id, listed.image
        for name in [name for name in members if name not in roster.entries]:
            self._conductor.apply(members[name], Seen(Standing.GONE, asked_at))
            self._forget_if_long_gone(members[name])
        specs = {name: member.spec for name, member in members.items()}
        if specs != self._specs:
            self._specs = specs
            self._conductor.graph = resolve(specs)
        # At once: until they are looked at closely they would be taken for missing, or for the
        # container that had the name before. A list does not tell the run, only that it is new.
        for member, listed in new:
            self._conductor.apply(member, Seen(listed.standing, asked_at, run=listed.id[:12]))
        self._tell((*roster.problems, *self._conductor.graph.problems))

    def _forget_if_long_gone(self, member: Member) -> None:
        gone = member.life.state is State.MISSING and not member.leases
        if gone and self._clock() - member.life.since > FORGET_SECONDS:
            del self._conductor.members[member.name]

    async def _look(self, member: Member) -> None:
        """Ask until the answer is about the present state: one that was overtaken by another state
        counts for nothing, and no further event would make us look."""
        for _ in range(LOOKS):
            observation = await self._observe(member)
            if observation is None:
                return
            overtaken = observation.asked_at < member.life.since
            self._conductor.apply(member, observation)
            if not overtaken:
                return

    async def _observe(self, member: Member) -> Seen | None:
        """Ask the engine about one container, unless a worker is busy with it."""
        if member.life.state in (State.WAKING, State.STOPPING):
            return None
        asked_at, asked_about = self._clock(), member.container_id
        details = await self._inspect(member)
        if member.container_id != asked_about:
            return None
        if details is None:
            return Seen(Standing.GONE, asked_at)
        fault = details.fault
        if fault is not None and member.life.state in (State.AWAKE, State.DRAINING):
            fault += await last_words(self._engine, details)
        return Seen(details.standing, asked_at, details.run, fault)

    async def _inspect(self, member: Member) -> Inspected | None:
        try:
            return await self._engine.inspect(member.container_id)
        except ContainerGone:
            return None

    def _by_id(self, container_id: str) -> Member | None:
        for member in self._conductor.members.values():
            if member.container_id == container_id:
                return member
        return None

    def _found(self) -> None:
        if self.trouble is not None:
            log.info("engine_connected", host=self._engine.host)
        self.trouble = None
        self.answered.set()

    def _lost(self, error: Exception) -> None:
        if self.trouble is None or not self.answered.is_set():
            since = datetime.fromtimestamp(self._wall(), UTC).strftime("%H:%M:%S UTC")
            self.trouble = f"the container engine is out of reach since {since}: {error}"
            log.warning("engine_lost", host=self._engine.host, error=str(error))
        self.answered.set()
        for member in tuple(self._conductor.members.values()):
            self._conductor.apply(member, Lost(self.trouble))

    def _tell(self, problems: Iterable[str]) -> None:
        """Say each thing once."""
        for problem in problems:
            if problem not in self._told:
                self._told.add(problem)
                log.warning("container_labels", problem=problem)


def _agrees(member: Member, listed: Listed) -> bool:
    """Whether the list confirms what we believe, so that a closer look would be wasted."""
    life = member.life
    if life.state in (State.WAKING, State.STOPPING):
        return True
    if listed.standing is Standing.UP:
        same_container = (life.run or "").startswith(listed.id[:12])
        return life.state in (State.AWAKE, State.DRAINING) and same_container
    return life.state is State.ASLEEP or (life.state is State.FAILED and not life.up)

"""The simulation is worth what it finds: production code is broken on purpose, one way a time."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import structlog

from app.containers import conductor, engine_link, fleet, idle, lifecycle, work
from app.containers.conductor import Conductor
from app.containers.engine_link import EngineLink
from app.containers.events import LeasesCounted, StopEnded, WakeEnded
from app.containers.fleet import Fleet
from app.containers.lifecycle import Life
from app.containers.work import Job
from tests.containers.simulation.peers import Rights
from tests.containers.simulation.plan import draw
from tests.containers.simulation.play import play

Break = Callable[[pytest.MonkeyPatch], None]
MOST = 4000
"""Schedules in which a fault must be found; by far the most are within a few hundred."""

judge, refuses = idle.judge, idle.refuses_sleep
seen, wake_ended, stop_ended = lifecycle._seen, lifecycle._wake_ended, lifecycle._stop_ended


def no_second_count(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(conductor, "LeasesCounted", lambda leases: LeasesCounted(0))


def leases_not_counted(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(fleet, "SleepAsked", lambda leases: lifecycle.SleepAsked(0))
    patch.setattr(fleet, "refuses_sleep", lambda use: refuses(replace(use, leases=0)))
    patch.setattr(fleet, "judge", lambda use: judge(replace(use, leases=0)))
    no_second_count(patch)


def attempts_not_compared(patch: pytest.MonkeyPatch) -> None:
    def any_wake(life: Life, ended: WakeEnded, now: float, rng: random.Random) -> lifecycle.Step:
        return wake_ended(life, replace(ended, attempt=life.attempt), now, rng)

    def any_stop(life: Life, ended: StopEnded, now: float) -> lifecycle.Step:
        return stop_ended(life, replace(ended, attempt=life.attempt), now)

    # Who is superseded is also cancelled: either would do, and both are taken away.
    begin = Conductor._begin

    def begin_beside(self: Conductor, member: Any, action: lifecycle.Action) -> None:
        member.worker = None
        begin(self, member, action)

    patch.setattr(lifecycle, "_wake_ended", any_wake)
    patch.setattr(lifecycle, "_stop_ended", any_stop)
    patch.setattr(Conductor, "_begin", begin_beside)


def needs_during_a_stop_forgotten(patch: pytest.MonkeyPatch) -> None:
    def forgetful(life: Life, ended: StopEnded, now: float) -> lifecycle.Step:
        return stop_ended(replace(life, wanted=False), ended, now)

    patch.setattr(lifecycle, "_stop_ended", forgetful)
    patch.setattr(Conductor, "need", needed_once(Conductor.need))


def needed_once(need: Callable[..., None]) -> Callable[..., None]:
    """Only a first need is told: those who wait ask again and again, and would hide it."""
    told: set[tuple[int, str]] = set()

    def once(self: Conductor, member: Any, cause: str) -> None:
        key = (id(member), member.life.state)
        if member.life.state is not lifecycle.State.ASLEEP or key not in told:
            need(self, member, cause)
        if member.life.state is lifecycle.State.STOPPING:
            told.add((id(member), lifecycle.State.ASLEEP))

    return once


def a_start_during_a_stop(patch: pytest.MonkeyPatch) -> None:
    needed = lifecycle._needed

    def at_once(life: Life, now: float) -> lifecycle.Step:
        if life.state is lifecycle.State.STOPPING:
            return lifecycle._begin(life, lifecycle.State.WAKING, lifecycle.Action.START, now)
        return needed(life, now)

    patch.setattr(lifecycle, "_needed", at_once)


def kills_not_heard(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(lifecycle, "_killed", lambda life, *_: (life, ()))


def ready_after_a_gap(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(lifecycle, "_lost", lambda life, *_: (life, ()))
    patch.setattr(engine_link, "_agrees", lambda *_: True)


def no_backoff(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(lifecycle, "backoff", lambda *_: 0.0)


def a_backoff_that_does_not_grow(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(lifecycle, "backoff", lambda *_: 1.0)


def dependencies_not_waited_for(patch: pytest.MonkeyPatch) -> None:
    async def at_once(self: Conductor, member: object) -> None:
        return None

    patch.setattr(Conductor, "_dependencies_ready", at_once)


def dependencies_not_asked(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        Conductor, "is_ready", lambda self, member: member.life.state is lifecycle.State.AWAKE
    )


def dependencies_stopped_under_their_users(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(fleet, "refuses_sleep", lambda use: refuses(replace(use, dependants=())))
    patch.setattr(fleet, "judge", lambda use: judge(replace(use, dependants=())))


def idle_too_early(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(fleet, "judge", lambda use: judge(replace(use, idle_seconds=1e9)))


def vetoes_not_heard(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(fleet, "judge", lambda use: judge(replace(use, veto=None)))


def never_idle(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(fleet, "judge", lambda use: judge(replace(use, idle_seconds=0.0)))


def others_not_asked(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Fleet, "let_stop", lambda self, container_id, *, wish: True)


def a_gate_that_stays_open(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(lifecycle, "_yielded", lambda life, *_: (life, ()))


def a_newcomer_that_is_not_told(patch: pytest.MonkeyPatch) -> None:
    async def nothing(self: Rights, container_id: str) -> bool:
        return False

    patch.setattr(Rights, "is_taken", nothing)


def ready_without_a_probe(patch: pytest.MonkeyPatch) -> None:
    async def at_once(engine: Any, container_id: str, *_: object, **__: object) -> object:
        return await engine.inspect(container_id)

    patch.setattr(work, "until_ready", at_once)


def a_stop_that_is_not_waited_for(patch: pytest.MonkeyPatch) -> None:
    async def at_once(job: Job, *_: object) -> StopEnded:
        return StopEnded(job.attempt)

    patch.setattr(work, "_down", at_once)


def a_new_name_not_looked_for(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(EngineLink, "_by_id", lambda self, container_id: None)
    patch.setattr(EngineLink, "relist", nothing_listed(EngineLink.relist))


def nothing_listed(relist: Callable[..., Any]) -> Callable[..., Any]:
    async def only_at_first(self: EngineLink, *, full: bool = False) -> None:
        if full:
            await relist(self, full=True)

    return only_at_first


BROKEN: tuple[tuple[Break, str], ...] = (
    (no_second_count, "calm"),
    (leases_not_counted, "calm"),
    (attempts_not_compared, "by hand"),
    (needs_during_a_stop_forgotten, "calm"),
    (a_start_during_a_stop, "calm"),
    (kills_not_heard, "by hand"),
    (ready_after_a_gap, "engine"),
    (no_backoff, "broken"),
    (a_backoff_that_does_not_grow, "broken"),
    (dependencies_not_waited_for, "calm"),
    (dependencies_not_asked, "calm"),
    (dependencies_stopped_under_their_users, "calm"),
    (idle_too_early, "calm"),
    (vetoes_not_heard, "calm"),
    (never_idle, "calm"),
    (others_not_asked, "gateway"),
    (a_gate_that_stays_open, "gateway"),
    (a_newcomer_that_is_not_told, "newcomers"),
    (ready_without_a_probe, "calm"),
    (a_stop_that_is_not_waited_for, "calm"),
    (a_new_name_not_looked_for, "by hand"),
)
"""With the kind of schedule in which it shows soonest."""


@pytest.fixture(autouse=True)
def silence() -> Iterator[None]:
    """What broken code logs, nobody reads."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    yield
    structlog.reset_defaults()


@pytest.mark.parametrize(("fault", "kind"), BROKEN)
def test_what_is_broken_is_found(fault: Break, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fault(monkeypatch)
    found = next((seed for seed in range(MOST) if play(draw(seed, kind)).wrong), None)
    assert found is not None

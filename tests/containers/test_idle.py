"""Who may sleep, and what is said about those who may not."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.containers.idle import Keeper, Use, is_due, judge, refuses_sleep
from app.containers.lifecycle import State
from app.containers.spec import Priority
from app.containers.veto import Objection

BUSY = Objection("veto-cpu is at 90 %", certain=True)
CALM = Objection("veto-cpu is at 90 % 5 s ago", 55.0)
IDLE = Use(State.AWAKE, Priority.NORMAL, leases=0, idle_seconds=60.0, idle_timeout=60.0)


def test_idle_for_its_time_may_sleep() -> None:
    verdict = judge(IDLE)
    assert verdict.may_sleep
    assert (verdict.reason, verdict.sleeps_in) == (None, 0.0)


@pytest.mark.parametrize(
    ("use", "keeper", "reason", "sleeps_in"),
    [
        (replace(IDLE, leases=2), Keeper.LEASED, "in use by 2", None),
        (replace(IDLE, idle_seconds=18.0), Keeper.ACTIVE, "active 18 s ago", 42.0),
        (replace(IDLE, priority=Priority.CRITICAL), Keeper.CRITICAL, "its priority", None),
        (replace(IDLE, dependants=("app",)), Keeper.DEPENDANT, "needed by app", None),
        (replace(IDLE, auto_stop=False), Keeper.AUTO_STOP_OFF, "CONTAINER_AUTO_STOP", None),
        (replace(IDLE, idle_timeout=math.inf), Keeper.FOREVER, "forever", None),
        (replace(IDLE, in_hours=True, hours_left=9.0), Keeper.HOURS, "running hours", 9.0),
        (
            replace(IDLE, in_hours=True, hours_left=9.0, idle_seconds=0.0),
            Keeper.HOURS,
            "running hours",
            60.0,
        ),
        (replace(IDLE, in_hours=True), Keeper.HOURS, "running hours", None),
        (replace(IDLE, veto=BUSY), Keeper.VETO, "veto-cpu is at 90 %", None),
        (replace(IDLE, veto=CALM), Keeper.VETO, "5 s ago", 55.0),
        (replace(IDLE, veto=BUSY, idle_seconds=18.0), Keeper.ACTIVE, "active 18 s ago", 42.0),
        (replace(IDLE, state=State.ASLEEP), Keeper.NOT_AWAKE, "asleep", None),
        (replace(IDLE, state=State.DRAINING), Keeper.NOT_AWAKE, "draining", None),
        (replace(IDLE, state=State.FAILED), Keeper.NOT_AWAKE, "failed", None),
    ],
)
def test_what_keeps_it(use: Use, keeper: Keeper, reason: str, sleeps_in: float | None) -> None:
    verdict = judge(use)
    assert not verdict.may_sleep
    assert verdict.keeper is keeper
    assert verdict.reason is not None
    assert reason in verdict.reason
    assert verdict.sleeps_in == sleeps_in


def test_what_failed_but_runs_is_put_to_sleep_too() -> None:
    assert judge(replace(IDLE, state=State.FAILED, up=True)).may_sleep


def test_vetoes_are_asked_only_of_what_would_sleep_now() -> None:
    assert is_due(judge(IDLE))
    assert is_due(judge(replace(IDLE, veto=BUSY)))
    assert not is_due(judge(replace(IDLE, leases=1)))
    assert not is_due(judge(replace(IDLE, idle_seconds=18.0)))
    assert not is_due(judge(replace(IDLE, in_hours=True)))


def test_an_operator_is_refused_for_use_only_not_for_time() -> None:
    assert refuses_sleep(replace(IDLE, idle_seconds=0.0, auto_stop=False, in_hours=True)) is None
    refused = refuses_sleep(replace(IDLE, leases=1))
    assert refused is not None
    assert refused.keeper is Keeper.LEASED


_USES = st.builds(
    Use,
    state=st.sampled_from(State),
    priority=st.sampled_from(Priority),
    leases=st.integers(0, 3),
    idle_seconds=st.floats(0, 1e6),
    idle_timeout=st.one_of(st.floats(0.001, 1e6), st.just(math.inf)),
    dependants=st.sampled_from([(), ("a",)]),
    auto_stop=st.booleans(),
    up=st.booleans(),
    in_hours=st.booleans(),
    hours_left=st.one_of(st.none(), st.floats(0, 1e6)),
    veto=st.sampled_from([None, BUSY, CALM]),
)


@given(_USES)
def test_nothing_in_use_ever_sleeps_and_every_refusal_has_a_reason(use: Use) -> None:
    verdict = judge(use)
    if verdict.may_sleep:
        assert use.leases == 0
        assert not use.dependants
        assert use.auto_stop
        assert use.priority is not Priority.CRITICAL
        assert use.idle_seconds >= use.idle_timeout
        assert not use.in_hours
        assert use.veto is None
    else:
        assert verdict.reason
    timed = verdict.sleeps_in is not None
    assert timed is verdict.may_sleep or verdict.keeper in (
        Keeper.ACTIVE,
        Keeper.HOURS,
        Keeper.VETO,
    )
    if verdict.keeper is Keeper.ACTIVE:
        assert verdict.sleeps_in is not None
        assert verdict.sleeps_in > 0

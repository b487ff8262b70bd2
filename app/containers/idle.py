"""Who may sleep, and why not. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from app.containers.lifecycle import State
from app.containers.spec import Priority
from app.containers.veto import Objection


class Keeper(StrEnum):
    """What keeps a container from being put to sleep."""

    NOT_AWAKE = "not awake"
    AUTO_STOP_OFF = "automatic stopping is off"
    CRITICAL = "critical"
    LEASED = "in use"
    DEPENDANT = "needed by another container"
    FOREVER = "its idle time is for ever"
    HOURS = "within its running hours"
    ACTIVE = "used not long ago"
    VETO = "a veto"


@dataclass(frozen=True, slots=True)
class Use:
    """How a container is used now. ``idle_seconds`` since the last use, or since it was ready;
    ``dependants`` are the containers that need it and are not asleep; ``up``: it failed to
    become ready, but runs; ``in_hours``: these are its running hours, for ``hours_left`` seconds
    (``None``: for days); ``veto`` is what was heard from its vetoes since it was last used.
    """

    state: State
    priority: Priority
    leases: int
    idle_seconds: float
    idle_timeout: float
    dependants: tuple[str, ...] = ()
    auto_stop: bool = True
    up: bool = False
    in_hours: bool = False
    hours_left: float | None = None
    veto: Objection | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether it may sleep now. If not, ``keeper`` and a sentence say why; ``sleeps_in`` are the
    seconds left if nothing changes, ``None`` where time alone will not do it.
    """

    keeper: Keeper | None
    reason: str | None = None
    sleeps_in: float | None = None

    @property
    def may_sleep(self) -> bool:
        """Nothing keeps it."""
        return self.keeper is None


def judge(use: Use) -> Verdict:
    """May the idle monitor put it to sleep?"""
    if use.state is not State.AWAKE and not (use.state is State.FAILED and use.up):
        return Verdict(Keeper.NOT_AWAKE, f"{use.state.value}")
    if not use.auto_stop:
        return Verdict(Keeper.AUTO_STOP_OFF, "CONTAINER_AUTO_STOP is off")
    kept = refuses_sleep(use)
    if kept is not None:
        return kept
    if math.isinf(use.idle_timeout):
        return Verdict(Keeper.FOREVER, "its idle-timeout is forever")
    left = use.idle_timeout - use.idle_seconds
    if use.in_hours:
        until = None if use.hours_left is None else max(left, use.hours_left)
        return Verdict(Keeper.HOURS, "within its running hours", until)
    if left > 0:
        return Verdict(Keeper.ACTIVE, f"active {use.idle_seconds:.0f} s ago", left)
    if use.veto is not None:
        return Verdict(Keeper.VETO, use.veto.reason, use.veto.left)
    return Verdict(None, sleeps_in=0.0)


def refuses_sleep(use: Use) -> Verdict | None:
    """What no wish overrules, an operator's neither; ``None`` if there is nothing."""
    if use.priority is Priority.CRITICAL:
        return Verdict(Keeper.CRITICAL, "its priority is critical")
    if use.leases:
        return Verdict(Keeper.LEASED, f"in use by {use.leases}")
    if use.dependants:
        return Verdict(Keeper.DEPENDANT, f"needed by {', '.join(use.dependants)}")
    return None


def is_due(verdict: Verdict) -> bool:
    """Whether only its vetoes can still speak for it: now they have to be asked."""
    return verdict.keeper in (None, Keeper.VETO)

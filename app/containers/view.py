"""What others see of the fleet: frozen values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from app.containers.idle import Keeper
from app.containers.lifecycle import State
from app.containers.spec import Priority


@dataclass(frozen=True, slots=True)
class Automation:
    """``available``: the engine can be asked, and at least one half of automation is on.

    ``reason`` says why not, or which half is off.
    """

    available: bool
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class ContainerView:
    """One container now; times in seconds.

    ``idle_seconds`` since the last use; ``sleeps_in`` until it is put to sleep if nothing
    changes, ``None`` where time alone will not do it; ``keeper`` and the words in ``keeps_awake``
    say what keeps it up;
    ``since`` how long it has been in this state; ``awake_seconds`` awake in total, since this
    process knows it; ``doubts`` are vetoes that do not count, because they cannot be asked.
    """

    name: str
    container_id: str
    image: str
    state: State
    priority: Priority
    sleep: Literal["stop", "pause"]
    provides: tuple[str, ...]
    leases: int
    idle_seconds: float
    sleeps_in: float | None
    keeper: Keeper | None
    keeps_awake: str | None
    error: str | None
    since: float
    idle_timeout: float
    awake_seconds: float
    depends_on: tuple[str, ...]
    doubts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FleetEvent:
    """``name`` went from ``was`` to ``state`` at ``at`` (wall clock, seconds since 1970).

    ``cause`` says who or what had it go there, ``detail`` what went wrong, if anything did.
    """

    at: float
    name: str
    state: State
    detail: str
    cause: str
    was: State


class FleetObserver(Protocol):
    """Counts what happens, for metrics. Called in passing: quick, and without raising."""

    def wake_ended(self, name: str, outcome: str, seconds: float) -> None:
        """A wake ended: ``ready``, ``failed``, ``slow`` or ``lost``."""

    def slept(self, name: str, reason: str) -> None:
        """It went down: ``idle``, ``operator``, ``memory``, ``by hand`` or ``died``."""

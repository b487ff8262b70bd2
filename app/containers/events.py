"""What can happen to a container, and what may have to be done about it: values for the lifecycle.

Pure. What they mean stands in ``lifecycle.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from app.containers.observed import Standing


class Action(Enum):
    """What the shell has to do next."""

    START = auto()
    """Start it (after what it needs), and probe until it is ready: report ``WakeEnded``."""
    PROBE = auto()
    """It runs already: probe until it is ready: report ``WakeEnded``."""
    STOP = auto()
    """Stop or pause it, and wait until the engine says so: report ``StopEnded``."""
    AWAIT_DOWN = auto()
    """Somebody stops it: wait until the engine says so: report ``StopEnded``."""
    YIELD = auto()
    """Another gateway is about to stop it: wait until the engine says that it is down, or the
    other that it leaves it: report ``StopEnded`` or ``Kept``."""
    RECHECK = auto()
    """The gate is closed: ask the other gateways to close theirs, and count leases again: report
    ``LeasesCounted`` or ``Objected``."""
    ABANDON = auto()
    """Give up what is under way; no report."""


@dataclass(frozen=True, slots=True)
class Needed:
    """Somebody needs the container."""


@dataclass(frozen=True, slots=True)
class SleepAsked:
    """It may sleep, says the idle monitor or an operator, who counted ``leases``."""

    leases: int


@dataclass(frozen=True, slots=True)
class LeasesCounted:
    """So many leases are held now."""

    leases: int


@dataclass(frozen=True, slots=True)
class Objected:
    """Another gateway uses it, or cannot be asked: it may not be stopped."""


@dataclass(frozen=True, slots=True)
class Yielded:
    """Another gateway has the right to stop it: it was told that nobody here uses it, or could not
    ask."""


@dataclass(frozen=True, slots=True)
class Kept:
    """Another gateway had closed our gate, and did not stop it after all: ``run`` runs on."""

    attempt: int
    run: str | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """The engine was asked at ``asked_at`` and said this; ``run`` names the run if it is up."""

    standing: Standing
    asked_at: float
    run: str | None = None
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class Killed:
    """A signal that ends the present run, ``run``, was sent by somebody else: it is going down."""

    run: str | None = None


@dataclass(frozen=True, slots=True)
class WakeEnded:
    """A worker is done waking: ready if there is no ``fault``. ``up``: does it run anyway?"""

    attempt: int
    run: str | None = None
    fault: str | None = None
    slow: bool = False
    up: bool = False


@dataclass(frozen=True, slots=True)
class StopEnded:
    """A worker is done stopping: it is down, or it is not for the reason in ``fault``."""

    attempt: int
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class Lost:
    """The engine is out of reach: nothing is known any more."""

    reason: str


Event = (
    Needed
    | SleepAsked
    | LeasesCounted
    | Objected
    | Yielded
    | Kept
    | Seen
    | Killed
    | WakeEnded
    | StopEnded
    | Lost
)

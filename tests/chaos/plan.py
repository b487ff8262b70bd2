"""How long each fault lasts, and how much is asked meanwhile."""

from __future__ import annotations

import os
from dataclasses import dataclass

SECONDS, RATE = "CHAOS_SECONDS", "CHAOS_RATE"


@dataclass(frozen=True, slots=True)
class Plan:
    """The short form, unless other numbers are given."""

    seconds: float = 2.0
    """How long a fault lasts."""
    rate: float = 120.0
    """Known questions a second."""
    new_rate: float = 3.0
    """Questions a second that were never asked before."""
    calm: float = 0.3
    """Seconds of load before the fault."""
    patience: float = 2.5
    """A known answer that takes longer has waited for something that it must not wait for."""
    recovery: float = 15.0
    """Seconds after a fault in which all must be as before."""
    most_memory: int = 80_000_000
    """Bytes by which the gateway may grow: two upstream answers of the largest size, and some."""


def plan_from_environment() -> Plan:
    """The plan that ``python -m tests.chaos`` asked for, or the short one."""
    short = Plan()
    return Plan(
        seconds=float(os.environ.get(SECONDS, short.seconds)),
        rate=float(os.environ.get(RATE, short.rate)),
    )

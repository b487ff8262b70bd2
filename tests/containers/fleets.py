"""Fleets on a real engine, each seeing only the containers of its own test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace

import pytest

from app.containers.engine import Engine
from app.containers.fleet import Fleet
from app.containers.policy import FleetPolicy
from tests.real.engine import Workshop

_SCRIPT = (
    "trap '/bin/sleep 1.5; exit 0' TERM; "
    "/bin/redis-server --save '' --protected-mode no & while :; do /bin/sleep 0.1; done"
)
SLOW_STOP = ["/bin/sh", "-c", _SCRIPT]
"""Serves on through most of its grace period, as busy servers do."""


class Counted:
    """A ``FleetObserver`` that remembers."""

    def __init__(self) -> None:
        self.wakes: list[tuple[str, str, float]] = []
        self.sleeps: list[tuple[str, str]] = []

    def wake_ended(self, name: str, outcome: str, seconds: float) -> None:
        self.wakes.append((name, outcome, seconds))

    def slept(self, name: str, reason: str) -> None:
        self.sleeps.append((name, reason))


Opened = Callable[..., AbstractAsyncContextManager[Fleet]]


@pytest.fixture
def counted() -> Counted:
    return Counted()


@pytest.fixture
def fleet_of(workshop: Workshop, counted: Counted) -> Opened:
    """A fleet that sees this test's containers, and whose own ticker does not interfere."""

    @asynccontextmanager
    async def opened(**changes: object) -> AsyncIterator[Fleet]:
        policy = FleetPolicy(
            idle_timeout=600.0, startup_timeout=20.0, check_interval=600.0, scope=(workshop.case,)
        )
        policy = replace(policy, **changes)  # type: ignore[arg-type]
        engine = Engine(workshop.run.host)
        async with Fleet(engine, policy, observer=counted) as fleet:
            yield fleet

    return opened

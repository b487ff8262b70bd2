"""The door that opens when a container is awake, on a real engine."""

from __future__ import annotations

import asyncio

import pytest

from app.containers.engine import Engine
from app.containers.fleet import Fleet
from app.containers.gate import ContainerGate
from app.containers.lifecycle import State
from app.containers.policy import FleetPolicy
from app.errors import ContainerSlow
from tests.containers.fleets import Opened
from tests.real.engine import Workshop
from tests.waiting import until

pytestmark = pytest.mark.real("docker")


async def test_a_closed_gate_asks_for_a_wake_and_opens(
    workshop: Workshop, fleet_of: Opened
) -> None:
    made = workshop.container("db", labels={"provides": "mongodb"})
    async with fleet_of() as fleet:
        gate = ContainerGate(fleet, "mongodb", within=20)
        assert gate.enter() is None
        await until(lambda: fleet.is_ready("db"))
        lease = gate.enter()
        assert lease is not None
        with lease:
            assert fleet.view("db").leases == 1
        assert fleet.view("db").leases == 0
        assert workshop.count("start", made) == 1


async def test_whoever_waits_gets_in_with_a_lease(workshop: Workshop, fleet_of: Opened) -> None:
    made = workshop.container("db", labels={"provides": "mongodb"})
    async with fleet_of() as fleet:
        gate = ContainerGate(fleet, "mongodb", within=20)
        leases = await asyncio.gather(*(gate.open() for _ in range(20)))
        assert fleet.view("db").leases == 20
        assert workshop.count("start", made) == 1
        for lease in leases:
            with lease:
                pass
        assert fleet.view("db").leases == 0


async def test_a_chore_keeps_it_up_while_it_lasts_and_no_longer(
    workshop: Workshop, fleet_of: Opened
) -> None:
    made = workshop.container("db", labels={"provides": "mongodb", "idle-timeout": "1s"})
    async with fleet_of() as fleet:
        gate = ContainerGate(fleet, "mongodb", within=20)
        with await gate.borrow():
            assert fleet.is_ready("db"), "it was woken"
        await until(lambda: fleet.view("db").idle_seconds > 0.6)
        with await gate.borrow():
            assert fleet.view("db").leases == 1
            assert await fleet.idle_check() == []
        assert fleet.view("db").idle_seconds > 0.6, "its rest goes on"
        await until(lambda: fleet.view("db").idle_seconds > 1.0)
        assert await fleet.idle_check() == ["db"]
        assert workshop.count("start", made) == 1


async def test_a_gate_that_does_not_open_in_time_leaves_no_lease(
    workshop: Workshop, fleet_of: Opened
) -> None:
    workshop.container("db", labels={"provides": "mongodb", "ready": "tcp:1"})
    async with fleet_of() as fleet:
        gate = ContainerGate(fleet, "mongodb", within=0.5)
        with pytest.raises(ContainerSlow):
            await gate.open()
        assert fleet.view("db").leases == 0


async def test_who_watches_is_told_whenever_it_shuts(workshop: Workshop, fleet_of: Opened) -> None:
    workshop.container("other")
    made = workshop.container("db", labels={"provides": "mongodb"})
    async with fleet_of() as fleet:
        states: list[State] = []
        gate = ContainerGate(fleet, "mongodb", within=20)
        gate.watch(shut=lambda: states.append(fleet.view("db").state))
        await fleet.ready("other", within=20)
        for _ in range(2):
            with await gate.open():
                assert states == [State.WAKING]
            await asyncio.to_thread(workshop.api.stop, made)
            await until(lambda: State.ASLEEP in states)
            assert State.AWAKE not in states
            states.clear()


async def test_what_nobody_here_provides_is_open(workshop: Workshop, fleet_of: Opened) -> None:
    workshop.container("other")
    async with fleet_of() as fleet:
        gate = ContainerGate(fleet, "mongodb", within=1)
        lease = gate.enter()
        assert lease is not None
        with lease, await gate.open():
            assert fleet.view("other").leases == 0


async def test_without_an_engine_it_is_open() -> None:
    engine = Engine("unix:///nowhere/engine.sock")
    async with Fleet(engine, FleetPolicy(check_interval=600)) as fleet:
        gate = ContainerGate(fleet, "mongodb", within=1)
        assert not fleet.automation.available
        lease = gate.enter()
        assert lease is not None
        with lease, await gate.open():
            pass

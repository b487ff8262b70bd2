"""What labels and settings ask for, on a real engine."""

from __future__ import annotations

import math

import pytest

from app.containers.lifecycle import State
from app.errors import AutomationOff, ContainerError, ContainerFailed
from tests.containers.fleets import Opened
from tests.real.engine import Workshop
from tests.waiting import until

pytestmark = pytest.mark.real("docker")


async def test_sleep_by_pausing_keeps_the_process(workshop: Workshop, fleet_of: Opened) -> None:
    made = workshop.container("db", labels={"sleep": "pause"})
    async with fleet_of() as fleet:
        await fleet.ready("db", within=20)
        await fleet.sleep("db")
        assert workshop.state(made) == "paused"
        assert fleet.view("db").state is State.ASLEEP
        await fleet.ready("db", within=20)
        assert fleet.is_ready("db")
    assert workshop.count("start", made) == 1
    assert workshop.count("pause", made) == workshop.count("unpause", made) == 1


async def test_dependencies_wake_first_and_sleep_last(workshop: Workshop, fleet_of: Opened) -> None:
    short = {"idle-timeout": "1ms"}
    db = workshop.container("db", labels=short)
    cache = workshop.container("cache", labels=short)
    app = workshop.container("app", labels={**short, "depends-on": "db,cache"})
    async with fleet_of() as fleet:
        await fleet.ready("app", within=20)
        assert fleet.is_ready("db")
        assert fleet.is_ready("cache")
        starts = [made for _, made in workshop.events("start")]
        assert set(starts[:2]) == {db, cache}
        assert starts[2:] == [app]
        with pytest.raises(ContainerError, match="needed by app"):
            await fleet.sleep("db")
        await until(lambda: fleet.view("app").sleeps_in == 0)
        slept = await fleet.idle_check()
        assert slept[0] == "app"
        assert sorted(slept[1:]) == ["cache", "db"]
        stops = [made for _, made in workshop.events("die")]
        assert stops[0] == app


async def test_a_dependency_that_fails_takes_the_blame(
    workshop: Workshop, fleet_of: Opened
) -> None:
    workshop.container("db", command=["/bin/no-such-program"])
    made = workshop.container("app", labels={"depends-on": "db"})
    async with fleet_of() as fleet:
        with pytest.raises(ContainerFailed, match="db, which app depends on") as caught:
            await fleet.ready("app", within=20)
    assert caught.value.name == "app"
    assert workshop.count("start", made) == 0


async def test_critical_is_never_slept(workshop: Workshop, fleet_of: Opened) -> None:
    workshop.container("db", labels={"priority": "critical", "idle-timeout": "1ms"})
    async with fleet_of() as fleet:
        await fleet.ready("db", within=20)
        assert await fleet.idle_check() == []
        with pytest.raises(ContainerError, match="critical"):
            await fleet.sleep("db")
        assert fleet.view("db").keeps_awake == "its priority is critical"


async def test_the_settings_halves_of_automation(workshop: Workshop, fleet_of: Opened) -> None:
    made = workshop.container("db", labels={"idle-timeout": "1ms"})
    async with fleet_of(auto_start=False) as fleet:
        assert fleet.automation.reason == "CONTAINER_AUTO_START is off: nothing is started"
        fleet.wake("db")
        with pytest.raises(AutomationOff, match="CONTAINER_AUTO_START"):
            await fleet.ready("db", within=20)
        assert workshop.count("start", made) == 0
        workshop.api.start(made)
        await until(lambda: fleet.is_ready("db"))
        await fleet.ready("db", within=20)
    async with fleet_of(auto_stop=False) as fleet:
        await fleet.ready("db", within=20)
        assert fleet.automation.available
        assert await fleet.idle_check() == []
        assert fleet.view("db").sleeps_in is None
    async with fleet_of(auto_stop=False, auto_start=False) as fleet:
        assert not fleet.automation.available


@pytest.mark.parametrize(
    ("rule", "command"),
    [
        ("log:[Rr]eady to accept", None),
        ("tcp:6379", None),
        ("running", None),
        ("log:^here I am$", ["/bin/sh", "-c", "echo here I am; exec /bin/sleep 60"]),
    ],
)
async def test_each_way_of_being_ready(
    workshop: Workshop, fleet_of: Opened, rule: str, command: list[str] | None
) -> None:
    made = workshop.container("db", labels={"ready": rule, "sleep": "pause"}, command=command)
    async with fleet_of() as fleet:
        await fleet.ready("db", within=20)
    workshop.api.kill(made)


async def test_the_health_gate_when_it_is_asked_for(workshop: Workshop, fleet_of: Opened) -> None:
    second = 1_000_000_000
    health = {"test": ["CMD", "/bin/redis-server", "--version"], "interval": second}
    workshop.container("db", labels={"ready": "health"}, healthcheck=health)
    async with fleet_of() as fleet:
        await fleet.ready("db", within=20)
        made = fleet.view("db").container_id
        details = workshop.api.inspect_container(made)
        assert details["State"]["Health"]["Status"] == "healthy"


async def test_a_container_that_did_not_opt_in_is_never_touched(
    workshop: Workshop, fleet_of: Opened
) -> None:
    made = workshop.container("stranger", enable=False)
    workshop.api.start(made)
    async with fleet_of() as fleet:
        assert fleet.views() == []
        assert await fleet.idle_check() == []
    assert workshop.state(made) == "running"


async def test_forever_is_never(workshop: Workshop, fleet_of: Opened) -> None:
    workshop.container("db", labels={"idle-timeout": "forever"})
    async with fleet_of() as fleet:
        await fleet.ready("db", within=20)
        assert math.isinf(fleet.view("db").idle_timeout)
        assert fleet.view("db").sleeps_in is None
        assert await fleet.idle_check() == []

"""Waking, stopping and dying on a real engine; what happened is read from its own record."""

from __future__ import annotations

import asyncio

import pytest

from app.containers.lifecycle import State
from app.errors import ContainerError, ContainerFailed, ContainerSlow
from tests.containers.fleets import SLOW_STOP, Counted, Opened
from tests.real.engine import Workshop, remove_quietly
from tests.waiting import until

pytestmark = pytest.mark.real("docker")


async def test_a_wake_from_down_ends_ready_and_is_counted(
    workshop: Workshop, fleet_of: Opened, counted: Counted
) -> None:
    made = workshop.container("db", labels={"provides": "redis"})
    async with fleet_of() as fleet:
        assert fleet.automation.available
        assert fleet.provider("redis") == "db"
        assert fleet.provider("mongodb") is None
        assert fleet.view("db").state is State.ASLEEP
        assert not fleet.is_ready("db")
        await fleet.ready("db", within=20)
        assert fleet.is_ready("db")
        view = fleet.view("db")
    assert view.state is State.AWAKE
    assert made.startswith(view.container_id)
    assert view.keeps_awake is not None
    assert view.keeps_awake.startswith("active")
    assert [(name, outcome) for name, outcome, _ in counted.wakes] == [("db", "ready")]
    assert workshop.state(made) == "running", "leaving the fleet stops nothing"


async def test_two_hundred_askers_cause_one_start(workshop: Workshop, fleet_of: Opened) -> None:
    made = workshop.container("db")
    async with fleet_of() as fleet:
        await asyncio.gather(*(fleet.ready("db", within=20) for _ in range(200)))
    assert workshop.count("start", made) == 1


async def test_an_asker_who_gives_up_does_not_end_the_wake(
    workshop: Workshop, fleet_of: Opened
) -> None:
    made = workshop.container("db")
    async with fleet_of() as fleet:
        asker = asyncio.create_task(fleet.ready("db", within=20))
        await until(lambda: fleet.view("db").state is State.WAKING)
        asker.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asker
        await fleet.ready("db", within=20)
    assert workshop.count("start", made) == 1


async def test_idle_stops_once_and_never_under_a_lease(
    workshop: Workshop, fleet_of: Opened, counted: Counted
) -> None:
    made = workshop.container("db", labels={"idle-timeout": "1ms"})
    async with fleet_of() as fleet:
        with fleet.lease("db"):
            await fleet.ready("db", within=20)
            assert await fleet.idle_check() == []
            assert fleet.view("db").leases == 1
            assert fleet.view("db").keeps_awake == "in use by 1"
            with pytest.raises(ContainerError, match="in use"):
                await fleet.sleep("db")
            assert workshop.count("kill", made) == 0
        await until(lambda: fleet.view("db").sleeps_in == 0)
        sweeps = await asyncio.gather(fleet.idle_check(), fleet.idle_check())
        assert sorted(sweeps) == [[], ["db"]]
        assert fleet.view("db").state is State.ASLEEP
        assert await fleet.idle_check() == []
    assert workshop.count("stop", made) == 1
    assert counted.sleeps == [("db", "idle")]


async def test_the_ticker_puts_idle_containers_to_sleep_by_itself(
    workshop: Workshop, fleet_of: Opened
) -> None:
    made = workshop.container("db", labels={"idle-timeout": "100ms"})
    async with fleet_of(check_interval=0.05) as fleet, fleet.subscribe() as events:
        await fleet.ready("db", within=20)
        await until(lambda: fleet.view("db").state is State.ASLEEP)
        states = []
        async for event in events:
            states.append(event.state)
            if event.state is State.ASLEEP and State.STOPPING in states:
                break
    assert states[-5:] == [
        State.WAKING,
        State.AWAKE,
        State.DRAINING,
        State.STOPPING,
        State.ASLEEP,
    ]
    assert workshop.count("stop", made) == 1


@pytest.mark.parametrize("stage", range(4))
async def test_a_need_during_a_slow_stop_ends_with_it_running(
    workshop: Workshop, fleet_of: Opened, stage: int
) -> None:
    made = workshop.container("db", command=SLOW_STOP)
    async with fleet_of() as fleet:
        await fleet.ready("db", within=20)
        sleeping = asyncio.create_task(fleet.sleep("db"))
        await until(lambda: fleet.view("db").state is State.STOPPING)
        await until(lambda: workshop.count("kill", made) == 1)
        await asyncio.sleep(0.4 * stage)
        assert not fleet.is_ready("db")
        await fleet.ready("db", within=20)
        assert fleet.is_ready("db")
        await sleeping
    actions = [action for action, _ in workshop.events("start", "kill", "die")]
    assert actions == ["start", "kill", "die", "start"]
    assert workshop.state(made) == "running"


async def test_a_killed_container_is_noticed_and_woken_again(
    workshop: Workshop, fleet_of: Opened
) -> None:
    made = workshop.container("db")
    async with fleet_of() as fleet:
        await fleet.ready("db", within=20)
        workshop.api.kill(made)
        await until(lambda: not fleet.is_ready("db"))
        await fleet.ready("db", within=20)
        assert fleet.is_ready("db")
    assert workshop.count("start", made) == 2


async def test_a_crash_is_forgiven_once_and_then_paused_for(
    workshop: Workshop, fleet_of: Opened, counted: Counted
) -> None:
    workshop.container(
        "bad", command=["/bin/sh", "-c", "/bin/sleep 0.7; exit 3"], labels={"ready": "running"}
    )
    async with fleet_of() as fleet:
        await fleet.ready("bad", within=20)
        await until(lambda: fleet.view("bad").state is State.ASLEEP)
        assert fleet.view("bad").error == "it exited with code 3"
        await fleet.ready("bad", within=20)
        await until(lambda: fleet.view("bad").state is State.FAILED)
        with pytest.raises(ContainerFailed, match="exited with code 3") as caught:
            await fleet.ready("bad", within=20)
    assert caught.value.retry_after is not None
    assert caught.value.retry_after > 0
    assert counted.sleeps == [("bad", "died"), ("bad", "died")]


async def test_stopped_by_hand_stays_down_until_needed(
    workshop: Workshop, fleet_of: Opened, counted: Counted
) -> None:
    made = workshop.container("db")
    async with fleet_of() as fleet:
        await fleet.ready("db", within=20)
        await asyncio.to_thread(workshop.api.stop, made)
        await until(lambda: fleet.view("db").state is State.ASLEEP)
        assert fleet.view("db").error is None
        assert workshop.state(made) == "exited"
        await fleet.ready("db", within=20)
    assert counted.sleeps == [("db", "by hand")]


async def test_a_need_during_somebody_elses_stop_is_served(
    workshop: Workshop, fleet_of: Opened
) -> None:
    made = workshop.container("db", command=SLOW_STOP)
    async with fleet_of() as fleet:
        await fleet.ready("db", within=20)
        stop = asyncio.create_task(asyncio.to_thread(workshop.api.stop, made))
        await until(lambda: fleet.view("db").state is State.STOPPING)
        assert not fleet.is_ready("db"), "the gate closes when the stop begins, not when it ends"
        await fleet.ready("db", within=20)
        await stop
        assert fleet.is_ready("db")
    assert workshop.state(made) == "running"


async def test_started_by_hand_is_adopted(workshop: Workshop, fleet_of: Opened) -> None:
    made = workshop.container("db")
    other = workshop.container("running-before")
    workshop.api.start(other)
    async with fleet_of() as fleet:
        await until(lambda: fleet.is_ready("running-before"))
        workshop.api.start(made)
        await until(lambda: fleet.is_ready("db"))
        assert fleet.view("db").sleeps_in == pytest.approx(600, abs=60)
    assert workshop.count("start", made) == 1


async def test_removed_while_waking_fails_fast(workshop: Workshop, fleet_of: Opened) -> None:
    made = workshop.container("db", labels={"ready": "tcp:1"})
    async with fleet_of() as fleet:
        waiting = asyncio.create_task(fleet.ready("db", within=20))
        await until(lambda: workshop.state(made) == "running")
        await asyncio.to_thread(remove_quietly, workshop.api, made)
        with pytest.raises(ContainerFailed):
            async with asyncio.timeout(10):
                await waiting
        await until(lambda: fleet.view("db").state in (State.MISSING, State.FAILED))


async def test_recreated_under_the_same_name_goes_on_with_the_new_id(
    workshop: Workshop, fleet_of: Opened
) -> None:
    compose = {"com.docker.compose.project": "shop", "com.docker.compose.service": "db"}
    old = workshop.container("db", labels=compose)
    async with fleet_of() as fleet:
        await fleet.ready("db", within=20)
        new = workshop.container("db", labels=compose, engine_name=workshop.engine_name("tmp"))
        assert old.startswith(fleet.view("db").container_id)
        await asyncio.to_thread(workshop.api.stop, old)
        await asyncio.to_thread(remove_quietly, workshop.api, old)
        workshop.api.rename(new, workshop.engine_name("db"))
        await until(lambda: new.startswith(fleet.view("db").container_id))
        await fleet.ready("db", within=20)
    assert workshop.count("start", new) == 1
    assert workshop.state(new) == "running"


async def test_a_container_that_cannot_start_fails_with_the_engines_reason(
    workshop: Workshop, fleet_of: Opened
) -> None:
    workshop.container("bad", command=["/bin/no-such-program"])
    async with fleet_of() as fleet:
        with pytest.raises(ContainerFailed, match="no-such-program") as first:
            await fleet.ready("bad", within=20)
        assert fleet.view("bad").state is State.FAILED
        with pytest.raises(ContainerFailed):
            await fleet.ready("bad", within=20)
    assert first.value.retry_after is not None


async def test_a_missing_image_leaves_the_container_usable_or_failed_but_never_stuck(
    workshop: Workshop, fleet_of: Opened
) -> None:
    image = workshop.run.image_from_files("vanishing", {"/bin/x": b"not a program"}, ["/bin/x"])
    workshop.container("bad", image=image)
    workshop.api.remove_image(image, force=True)
    async with fleet_of() as fleet:
        with pytest.raises(ContainerFailed):
            await fleet.ready("bad", within=20)
        assert fleet.view("bad").error


async def test_a_port_that_never_opens_is_slow_and_then_put_to_sleep(
    workshop: Workshop, fleet_of: Opened, counted: Counted
) -> None:
    labels = {"ready": "tcp:1", "startup-timeout": "300ms", "idle-timeout": "1ms"}
    made = workshop.container("bad", labels=labels)
    async with fleet_of() as fleet:
        with pytest.raises(ContainerSlow, match="tcp:1") as caught:
            await fleet.ready("bad", within=20)
        assert caught.value.retry_after is not None
        with pytest.raises(ContainerFailed):
            await fleet.ready("bad", within=20)
        assert workshop.count("start", made) == 1
        await until(lambda: fleet.view("bad").sleeps_in == 0)
        assert await fleet.idle_check() == ["bad"]
    assert workshop.state(made) == "exited"
    assert [outcome for _, outcome, _ in counted.wakes] == ["slow"]


async def test_within_bounds_the_waiting_but_not_the_wake(
    workshop: Workshop, fleet_of: Opened
) -> None:
    workshop.container("db", labels={"ready-after": "1s"})
    async with fleet_of() as fleet:
        with pytest.raises(ContainerSlow):
            await fleet.ready("db", within=0.2)
        await fleet.ready("db", within=20)

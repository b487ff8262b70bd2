"""The fault table: the engine goes away, or what it has changes behind our back.

Each row is a test with real containers. What happened is read from the engine's own record.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from app.containers.engine import Engine
from app.containers.fleet import Fleet
from app.containers.policy import FleetPolicy
from app.errors import AutomationOff, ContainerFailed
from tests.containers.event_log import EventLog, Uses
from tests.containers.fault_stage import BUDGET, log, proxy, use
from tests.containers.fleets import Opened
from tests.containers.socket_proxy import SocketProxy
from tests.real.engine import Workshop, remove_quietly
from tests.real.require import find_binary, unavailable
from tests.waiting import until

__all__ = ["log", "proxy"]
pytestmark = pytest.mark.real("docker")

RENAMES = 300
"""More than the 256 events that an engine recalls."""


@asynccontextmanager
async def fleet_behind(proxy: SocketProxy, workshop: Workshop) -> AsyncIterator[Fleet]:
    policy = FleetPolicy(startup_timeout=20.0, check_interval=0.1, scope=(workshop.case,))
    async with Fleet(Engine(proxy.host), policy) as fleet:
        yield fleet


async def cut(proxy: SocketProxy, fleet: Fleet) -> None:
    await proxy.cut()
    await until(lambda: not fleet.automation.available)


async def test_the_engines_socket_is_cut_and_restored(
    workshop: Workshop, proxy: SocketProxy, log: EventLog
) -> None:
    made, uses = workshop.container("db"), Uses()
    async with fleet_behind(proxy, workshop) as fleet:
        await use(fleet, workshop, uses, "db", made)
        for _ in range(3):
            await cut(proxy, fleet)
            with pytest.raises(AutomationOff):
                await use(fleet, workshop, uses, "db", made)
            await proxy.restore()
            await until(lambda: fleet.automation.available)
            await use(fleet, workshop, uses, "db", made)
    assert log.actions(made, "start", "kill", "die") == ["start"]
    assert [one.outcome for one in uses.all] == ["served", *["AutomationOff", "served"] * 3]
    log.judge(uses, budget=BUDGET, desired={made})


async def test_a_container_killed_during_the_cut(
    workshop: Workshop, proxy: SocketProxy, log: EventLog
) -> None:
    made, uses = workshop.container("db"), Uses()
    async with fleet_behind(proxy, workshop) as fleet:
        await use(fleet, workshop, uses, "db", made)
        await cut(proxy, fleet)
        await asyncio.to_thread(workshop.api.kill, made)
        await proxy.restore()
        await until(lambda: fleet.automation.available)
        await use(fleet, workshop, uses, "db", made)
    assert log.actions(made, "start", "die") == ["start", "die", "start"]
    log.judge(uses, budget=BUDGET, desired={made})


async def test_more_than_256_events_during_a_cut(
    workshop: Workshop, proxy: SocketProxy, log: EventLog
) -> None:
    made, noisy, uses = workshop.container("db"), workshop.container("noisy"), Uses()
    async with fleet_behind(proxy, workshop) as fleet:
        await use(fleet, workshop, uses, "db", made)
        await cut(proxy, fleet)
        await asyncio.to_thread(workshop.api.kill, made)
        await asyncio.to_thread(rename_often, workshop, noisy)
        await proxy.restore()
        await until(lambda: fleet.automation.available)
        await use(fleet, workshop, uses, "db", made)
    assert log.count(noisy, "rename") == RENAMES
    assert log.actions(made, "start", "die") == ["start", "die", "start"]
    log.judge(uses, budget=BUDGET, desired={made})


def rename_often(workshop: Workshop, container_id: str) -> None:
    for number in range(RENAMES):
        workshop.api.rename(container_id, workshop.engine_name(f"noisy-{number}"))


async def test_a_container_removed_mid_wake(
    workshop: Workshop, fleet_of: Opened, log: EventLog
) -> None:
    made, uses = workshop.container("db", labels={"ready": "tcp:1"}), Uses()
    async with fleet_of(startup_timeout=BUDGET) as fleet:
        waiting = asyncio.create_task(use(fleet, workshop, uses, "db", made))
        await until(lambda: log.count(made, "start"))
        await asyncio.to_thread(remove_quietly, workshop.api, made)
        with pytest.raises(ContainerFailed):
            await waiting
    await until(lambda: log.count(made, "destroy"))
    assert log.count(made, "start") == 1
    log.judge(uses, budget=10.0, desired=set())


async def test_recreated_with_a_new_id_by_compose(
    workshop: Workshop, fleet_of: Opened, log: EventLog, tmp_path: Path
) -> None:
    uses = Uses()
    old = await asyncio.to_thread(compose_up, workshop, tmp_path, "one")
    async with fleet_of() as fleet:
        await use(fleet, workshop, uses, "db", old)
        new = await asyncio.to_thread(compose_up, workshop, tmp_path, "two")
        assert new != old
        await until(lambda: new.startswith(fleet.view("db").container_id))
        await use(fleet, workshop, uses, "db", new)
        await fleet.sleep("db")
        await use(fleet, workshop, uses, "db", new)
    await until(lambda: log.count(new, "start") == 2)
    assert log.count(old, "start") == log.count(old, "destroy") == 1
    log.judge(uses, budget=BUDGET, desired={new})


async def test_recreated_at_one_blow(workshop: Workshop, fleet_of: Opened, log: EventLog) -> None:
    """The new one is there before the old one is gone, as it is with compose, and then not up."""
    service = {"com.docker.compose.project": "shop", "com.docker.compose.service": "db"}
    old, uses = workshop.container("db", labels=service), Uses()
    async with fleet_of() as fleet:
        await use(fleet, workshop, uses, "db", old)
        new = workshop.container("db", labels=service, engine_name=workshop.engine_name("new"))
        await asyncio.to_thread(remove_quietly, workshop.api, old)
        await until(lambda: new.startswith(fleet.view("db").container_id))
        assert not fleet.is_ready("db"), "that the old one was ready says nothing about it"
        await use(fleet, workshop, uses, "db", new)
    assert log.actions(new, "start", "kill", "die") == ["start"]
    log.judge(uses, budget=BUDGET, desired={new})


def compose_up(workshop: Workshop, folder: Path, colour: str) -> str:
    """The id of the service's container, made anew if ``colour`` is another one than before."""
    program = find_binary("docker-compose")
    if program is None:
        unavailable("docker", "there is no docker-compose")
    marks = dict(mark.split("=", 1) for mark in (workshop.run.label, workshop.case))
    service = {
        "image": workshop.redis_image(),
        "network_mode": "bridge",
        "environment": {"COLOUR": colour},
        "labels": {"drawbridge.enable": "true", **marks},
    }
    file = folder / "compose.json"
    file.write_text(json.dumps({"version": "2.4", "services": {"db": service}}))
    project = workshop.engine_name("shop").replace("-", "")
    base = [program, "--project-name", project, "--file", str(file)]
    for arguments in (["up", "--detach"], ["ps", "--quiet"]):
        done = subprocess.run(
            [*base, *arguments],
            env={**os.environ, "DOCKER_HOST": workshop.run.host},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    return done.stdout.strip()

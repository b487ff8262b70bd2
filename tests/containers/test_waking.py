"""Waking is fast, and never fooled."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from app.cache.mongo import MongoStore
from app.config import load_settings
from app.containers.lifecycle import State
from app.runtime import open_runtime
from tests.containers.event_log import EventLog, Uses
from tests.containers.fault_stage import BUDGET, Database, gateway_here, log, use, wake
from tests.containers.fleets import Opened
from tests.real.engine import Workshop
from tests.real.server import free_port
from tests.waiting import until

__all__ = ["log"]
pytestmark = pytest.mark.real("docker")


async def test_dependencies_that_do_not_need_each_other_are_started_together(
    workshop: Workshop, fleet_of: Opened, log: EventLog
) -> None:
    never = workshop.container("a-never", labels={"ready": "tcp:1"})
    quick = workshop.container("quick")
    deep = workshop.container("deep", labels={"depends-on": "quick"})
    app = workshop.container("app", labels={"depends-on": "a-never,deep"})
    async with fleet_of(startup_timeout=BUDGET) as fleet:
        waiting = asyncio.create_task(fleet.ready("app", within=BUDGET))
        await until(lambda: log.count(deep, "start"))
        order = [one.id for one in log.events(None, "start")]
        assert order.index(quick) < order.index(deep)
        assert log.count(never, "start") == 1
        assert log.count(app, "start") == 0, "one of what it needs is not ready"
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)


async def test_a_published_port_fools_nobody(workshop: Workshop, fleet_of: Opened) -> None:
    """The engine's proxy accepts there at once, the program a second later."""
    command = "/bin/sleep 1; exec /bin/redis-server --protected-mode no"
    made = workshop.container(
        "db",
        command=["/bin/sh", "-c", command],
        port_bindings={6379: ("127.0.0.1", free_port())},
    )
    uses = Uses()
    async with fleet_of() as fleet:
        await use(fleet, workshop, uses, "db", made)
    assert uses.all[0].outcome == "served"


async def test_a_database_that_goes_down_is_let_go_of(workshop: Workshop, tmp_path: Path) -> None:
    """Over connections to a run that is gone its next one would be asked, and late."""
    database = Database(workshop)
    settings = load_settings(
        data_dir=tmp_path,
        docker_host=workshop.run.host,
        container_scope=(workshop.case,),
        mongodb_uri=database.settings["MONGODB_URI"],
        sync_enabled=False,
        _env_file=None,
    )
    async with open_runtime(settings) as runtime:
        store = runtime.cache.store
        assert isinstance(store, MongoStore)
        for _ in range(2):
            with await runtime.store_gate.open():
                await store.ping()
            used = store._link._client
            await asyncio.to_thread(workshop.api.stop, database.id)
            await until(lambda: store._link._client is not used)  # noqa: B023 - waited for right here
            await until(lambda: runtime.fleet.view("store").state is State.ASLEEP)


async def test_an_address_that_cannot_be_reached_is_told_so(
    workshop: Workshop, log: EventLog, tmp_path: Path
) -> None:
    made = workshop.container(
        "db", labels={"startup-timeout": "300ms", "ready": "tcp:6379"}, network_mode="none"
    )
    async with gateway_here(tmp_path, workshop) as client:
        answer = await wake(client, "db")
    assert answer.status_code == 504
    assert "no address of its own" in answer.json()["detail"]
    assert log.count(made, "start") == 1

"""What a socket proxy has to allow: the calls that the documentation lists, and no other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from app.containers.engine import Engine
from app.containers.fleet import Fleet
from app.containers.lifecycle import State
from app.containers.observed import EngineRefused
from app.containers.policy import FleetPolicy
from app.errors import ContainerError, ContainerFailed
from tests.containers.fault_stage import engine_socket
from tests.containers.socket_proxy import SocketProxy, call_of
from tests.real.engine import Workshop, remove_quietly
from tests.waiting import until

PAGE = Path(__file__).parents[2] / "docs" / "concepts" / "containers.md"
HEALTHY = {"test": ["CMD-SHELL", "exit 0"], "interval": 200_000_000, "retries": 1}
RULES = ("running", "health", "tcp:6379", "log:Ready to accept", "auto")


def documented() -> set[str]:
    """The calls in the table of the page."""
    section = PAGE.read_text(encoding="utf-8").partition("## What the engine is asked")[2]
    rows = section.partition("\n## ")[0]
    return set(re.findall(r"^\| `((?:GET|POST|PUT|DELETE) /\S+)` \|", rows, re.MULTILINE))


@pytest.mark.parametrize(
    ("head", "call"),
    [
        (b"GET /version HTTP/1.1\r\n\r\n", "GET /version"),
        (b"GET /v1.41/containers/json?all=1 HTTP/1.1\r\n\r\n", "GET /containers/json"),
        (b"GET /v1.41/containers/abc/json HTTP/1.1\r\n\r\n", "GET /containers/ID/json"),
        (b"POST /v1.41/containers/abc/start HTTP/1.1\r\n\r\n", "POST /containers/ID/start"),
        (b"DELETE /v1.41/containers/abc?force=1 HTTP/1.1\r\n\r\n", "DELETE /containers/ID"),
        (b"POST /v1.41/containers/create HTTP/1.1\r\n\r\n", "POST /containers/ID"),
    ],
)
def test_how_a_call_is_written(head: bytes, call: str) -> None:
    assert call_of(head) == call


@pytest.mark.real("docker")
async def test_a_whole_life_makes_the_documented_calls_and_no_others(
    workshop: Workshop, tmp_path: Path
) -> None:
    proxy = SocketProxy(tmp_path / "engine.sock", engine_socket(workshop), documented())
    await proxy.restore()
    policy = FleetPolicy(startup_timeout=30.0, check_interval=0.1, scope=(workshop.case,))
    async with Fleet(Engine(proxy.host), policy) as fleet:
        await each_rule(workshop, fleet)
        await pause_and_go_on(workshop, fleet)
        await sleep_behind_a_veto(workshop, fleet)
        await fail(workshop, fleet)
        await recreate(workshop, fleet)
        await proxy.cut()
        await until(lambda: not fleet.automation.available)
        await proxy.restore()
        await until(lambda: fleet.is_ready("again"))
    await proxy.cut()
    assert proxy.denied == []
    assert proxy.made == documented(), "what is not needed is not asked to be allowed"


async def each_rule(workshop: Workshop, fleet: Fleet) -> None:
    for number, rule in enumerate(RULES):
        name = f"rule{number}"
        workshop.container(name, labels={"ready": rule}, healthcheck=HEALTHY)
        await is_known(fleet, name)
        await fleet.ready(name, within=30)
        await fleet.sleep(name)


async def is_known(fleet: Fleet, name: str) -> None:
    await until(lambda: name in {view.name for view in fleet.views()})


async def pause_and_go_on(workshop: Workshop, fleet: Fleet) -> None:
    made = workshop.container("paused", labels={"sleep": "pause"})
    await is_known(fleet, "paused")
    await fleet.ready("paused", within=30)
    await fleet.sleep("paused")
    assert workshop.state(made) == "paused"
    await fleet.ready("paused", within=30)


async def sleep_behind_a_veto(workshop: Workshop, fleet: Fleet) -> None:
    workshop.container("busy", labels={"veto-cpu": "100%"})
    await is_known(fleet, "busy")
    await fleet.ready("busy", within=30)
    try:
        await fleet.sleep("busy")
    except ContainerError:
        # A measurement needs two looks; what counts here is that it was looked.
        assert fleet.view("busy").state is State.AWAKE


async def fail(workshop: Workshop, fleet: Fleet) -> None:
    workshop.container(
        "bad", command=["/bin/sh", "-c", "echo oh; exit 3"], labels={"ready": "tcp:1"}
    )
    await is_known(fleet, "bad")
    with pytest.raises(ContainerFailed, match="the last it wrote: oh"):
        await fleet.ready("bad", within=30)


async def recreate(workshop: Workshop, fleet: Fleet) -> None:
    compose = {"com.docker.compose.project": "shop", "com.docker.compose.service": "again"}
    old = workshop.container("again", labels=compose)
    await is_known(fleet, "again")
    await fleet.ready("again", within=30)
    new = workshop.container("again", labels=compose, engine_name=workshop.engine_name("new"))
    remove_quietly(workshop.api, old)
    await until(lambda: new.startswith(fleet.view("again").container_id))
    await fleet.ready("again", within=30)


@pytest.mark.real("docker")
async def test_what_is_not_allowed_is_refused_and_told(workshop: Workshop, tmp_path: Path) -> None:
    allowed = documented() - {"POST /containers/ID/start"}
    proxy = SocketProxy(tmp_path / "engine.sock", engine_socket(workshop), allowed)
    await proxy.restore()
    made = workshop.container("db")
    engine = Engine(proxy.host)
    with pytest.raises(EngineRefused, match="does not allow this call") as refused:
        await engine.start(made)
    assert refused.value.status == 403
    policy = FleetPolicy(check_interval=600.0, scope=(workshop.case,))
    async with Fleet(engine, policy) as fleet:
        with pytest.raises(ContainerFailed, match="does not allow this call"):
            await fleet.ready("db", within=30)
        assert fleet.view("db").state is State.FAILED
    await proxy.cut()
    assert set(proxy.denied) == {"POST /containers/ID/start"}
    assert workshop.state(made) == "created"

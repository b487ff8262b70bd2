"""Vetoes on a real engine: real CPU, real bytes, real servers that say 409, nothing, or never."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from structlog.testing import capture_logs

from app.containers.fleet import Fleet
from app.containers.idle import Keeper
from app.containers.lifecycle import State
from app.errors import ContainerError
from tests.containers.fleets import Opened
from tests.real.engine import Workshop
from tests.waiting import until

BURNS_UNTIL_HUP = (
    "trap 'exit 0' TERM; busy=1; trap 'busy=' HUP; while [ $busy ]; do :; done; "
    "while :; do /bin/sleep 0.1; done"
)
IDLER = ["/bin/sh", "-c", "trap 'exit 0' TERM; while :; do /bin/sleep 0.1; done"]
SHORT = {"idle-timeout": "200ms", "ready": "running"}
on_an_engine = pytest.mark.real("docker")


class Busy:
    """A server that answers with ``status``; with ``None`` it accepts and says nothing."""

    def __init__(self) -> None:
        self.status: int | None = 409
        self.paths: list[str] = []
        self.open = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        try:
            line = (await reader.readline()).decode()
            self.paths.append(line.split()[1])
            if self.status is None:
                await reader.read()
            else:
                writer.write(f"HTTP/1.1 {self.status} Word\r\nContent-Length: 0\r\n\r\n".encode())
        finally:
            self.open -= 1
            writer.close()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[int]:
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        async with server:
            yield server.sockets[0].getsockname()[1]


async def due(fleet: Fleet, name: str) -> None:
    """Have it awake, and wait until only its vetoes speak for it."""
    await until(lambda: name in [view.name for view in fleet.views()])
    await until(lambda: fleet.view(name).state is not State.MISSING)
    await fleet.ready(name, within=20)
    await until(lambda: fleet.view(name).sleeps_in == 0)


async def slept(fleet: Fleet, name: str) -> None:
    """Check until it sleeps."""
    deadline = time.monotonic() + 20
    while name not in await fleet.idle_check():
        assert time.monotonic() < deadline, fleet.view(name)


@on_an_engine
async def test_work_on_the_cpu_keeps_it_up_until_it_is_done(
    workshop: Workshop, fleet_of: Opened
) -> None:
    made = workshop.container(
        "burner", command=["/bin/sh", "-c", BURNS_UNTIL_HUP], labels={**SHORT, "veto-cpu": "30%"}
    )
    async with fleet_of() as fleet:
        await due(fleet, "burner")
        assert await fleet.idle_check() == []
        view = fleet.view("burner")
        assert (view.keeper, view.sleeps_in) == (Keeper.VETO, None)
        assert view.keeps_awake is not None
        assert view.keeps_awake.startswith("veto-cpu is at ")
        with pytest.raises(ContainerError, match="not put to sleep: veto-cpu"):
            await fleet.sleep("burner")
        assert workshop.count("kill", made) == 0
        workshop.api.kill(made, "HUP")
        await slept(fleet, "burner")
    assert workshop.count("stop", made) == 1


@on_an_engine
async def test_traffic_keeps_it_up_until_it_ends(workshop: Workshop, fleet_of: Opened) -> None:
    made = workshop.container("db", labels={"idle-timeout": "200ms", "veto-net": "50KB/s"})

    async def chatter() -> None:
        address = workshop.api.inspect_container(made)["NetworkSettings"]["IPAddress"]
        reader, writer = await asyncio.open_connection(address, 6379)
        try:
            while True:
                writer.write(b"PING " + b"x" * 20_000 + b"\r\n")
                await reader.read(65536)
                await asyncio.sleep(0.01)
        finally:
            writer.close()

    async with fleet_of() as fleet:
        await due(fleet, "db")
        talking = asyncio.create_task(chatter())
        assert await fleet.idle_check() == []
        keeps = fleet.view("db").keeps_awake
        assert keeps is not None
        assert keeps.startswith("veto-net is at ")
        talking.cancel()
        await asyncio.wait([talking])
        await slept(fleet, "db")


@on_an_engine
async def test_traffic_that_the_engine_does_not_count_is_unknown(
    workshop: Workshop, fleet_of: Opened
) -> None:
    labels = {"idle-timeout": "60ms", "ready": "running", "veto-net": "10KB/s"}
    workshop.container("host", command=IDLER, labels=labels, network_mode="host")
    async with fleet_of() as fleet:
        await due(fleet, "host")
        assert await fleet.idle_check() == []
        keeps = fleet.view("host").keeps_awake
        assert keeps is not None
        assert "cannot be asked: the engine counts no traffic of it" in keeps


@on_an_engine
async def test_a_url_that_answers_409_keeps_it_up(workshop: Workshop, fleet_of: Opened) -> None:
    busy = Busy()
    async with busy.listening() as port, fleet_of() as fleet:
        labels = {**SHORT, "veto-url": f"http://127.0.0.1:{port}/busy?a=1"}
        workshop.container("job", command=IDLER, labels=labels)
        await due(fleet, "job")
        assert busy.paths == [], "it is asked only when it would sleep"
        assert await fleet.idle_check() == []
        assert fleet.view("job").keeps_awake == "veto-url answered 409"
        with fleet.lease("job"):
            assert fleet.view("job").keeps_awake == "in use by 1"
        asked = len(busy.paths)
        assert await fleet.idle_check() == []
        assert len(busy.paths) == asked, "nor while something else keeps it up"
        keeps = fleet.view("job").keeps_awake
        assert keeps is not None
        assert keeps.startswith("active"), "what was said before it was used says nothing now"
        busy.status = 200
        await until(lambda: fleet.view("job").sleeps_in == 0)
        assert await fleet.idle_check() == ["job"]
    assert set(busy.paths) == {"/busy?a=1"}


@on_an_engine
async def test_a_path_is_asked_at_the_containers_own_address(
    workshop: Workshop, fleet_of: Opened
) -> None:
    busy = Busy()
    async with busy.listening() as port, fleet_of() as fleet:
        labels = {**SHORT, "veto-url": f":{port}/busy"}
        workshop.container("job", command=IDLER, labels=labels, network_mode="host")
        await due(fleet, "job")
        assert await fleet.idle_check() == []
        assert fleet.view("job").keeps_awake == "veto-url answered 409"
    assert busy.paths == ["/busy"]


@on_an_engine
async def test_a_veto_that_hangs_counts_for_a_while_and_is_told_of_once(
    workshop: Workshop, fleet_of: Opened
) -> None:
    busy = Busy()
    busy.status = None
    async with busy.listening() as port, fleet_of(veto_seconds=0.2) as fleet:
        labels = {**SHORT, "veto-url": f"http://127.0.0.1:{port}/"}
        made = workshop.container("job", command=IDLER, labels=labels)
        with capture_logs() as logs:
            await due(fleet, "job")
            for _ in range(3):
                assert await fleet.idle_check() == []
                view = fleet.view("job")
                assert view.keeps_awake == "veto-url cannot be asked: no answer within 0.2 s"
                assert view.sleeps_in is not None
                assert view.doubts == ()
            await slept(fleet, "job")
            assert fleet.view("job").doubts == (
                "veto-url cannot be asked, and does not count: no answer within 0.2 s",
            )
            await due(fleet, "job")
            await slept(fleet, "job")
        told = [entry for entry in logs if entry["event"].startswith("container_veto")]
        assert [(entry["name"], entry["veto"]) for entry in told] == [("job", "veto-url")]
        busy.status = 409
        await due(fleet, "job")
        assert await fleet.idle_check() == []
        assert fleet.view("job").doubts == ()
        await until(lambda: busy.open == 0)
    assert workshop.count("stop", made) == 2


@on_an_engine
async def test_an_operator_may_put_down_what_does_not_answer(
    workshop: Workshop, fleet_of: Opened
) -> None:
    workshop.container(
        "hung",
        command=IDLER,
        labels={**SHORT, "veto-url": "http://127.0.0.1:1/"},
    )
    async with fleet_of() as fleet:
        await fleet.ready("hung", within=20)
        await fleet.sleep("hung")
        assert fleet.view("hung").state is State.ASLEEP


@on_an_engine
async def test_use_that_begins_while_a_veto_is_asked_is_respected(
    workshop: Workshop, fleet_of: Opened
) -> None:
    busy = Busy()
    busy.status = None
    async with busy.listening() as port, fleet_of(veto_seconds=0.3) as fleet:
        labels = {
            "idle-timeout": "500ms",
            "ready": "running",
            "veto-url": f"http://127.0.0.1:{port}/",
        }
        made = workshop.container("job", command=IDLER, labels=labels)
        await due(fleet, "job")
        for _ in range(3):
            assert await fleet.idle_check() == []
        checking = asyncio.create_task(fleet.idle_check())
        await until(lambda: busy.open == 1)
        with fleet.lease("job"):
            pass
        assert await checking == []
        assert fleet.view("job").state is State.AWAKE
    assert workshop.count("kill", made) == 0


@on_an_engine
async def test_a_veto_keeps_up_what_runs_and_starts_nothing(
    workshop: Workshop, fleet_of: Opened
) -> None:
    busy = Busy()
    async with busy.listening() as port, fleet_of(check_interval=0.05) as fleet:
        labels = {**SHORT, "veto-url": f"http://127.0.0.1:{port}/"}
        made = workshop.container("job", command=IDLER, labels=labels)
        workshop.api.start(made)
        await until(lambda: "job" in [view.name for view in fleet.views()])
        await until(lambda: fleet.view("job").keeper is Keeper.VETO, what="adopted, and kept up")
        await asyncio.to_thread(workshop.api.stop, made)
        await until(lambda: fleet.view("job").state is State.ASLEEP)
        for _ in range(5):
            await fleet.idle_check()
        assert fleet.view("job").state is State.ASLEEP, "stopped by hand, it stays down"
    assert workshop.count("start", made) == 1

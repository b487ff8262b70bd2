"""The fault table: gateways that are killed, crowds, callers who leave, clocks that jump.

Each row is a test with real containers and the real program as a process. What happened is read
from the engine's own record.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.containers.event_log import EventLog, Uses
from tests.containers.fault_stage import BUDGET, Database, gateway, log, ping, wake
from tests.containers.fleets import SLOW_STOP
from tests.processes import Drawbridge
from tests.real.clock import wall_clock
from tests.real.engine import Workshop
from tests.waiting import until

__all__ = ["log"]
pytestmark = pytest.mark.real("docker")

CROWD = 1000
STOPS = 10
AN_HOUR = 3600.0


@asynccontextmanager
async def client_of(running: Drawbridge) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=running.url(), timeout=BUDGET) as client:
        yield client


async def state(client: httpx.AsyncClient, name: str) -> str:
    listed = (await client.get("/health/containers")).json()["containers"]
    return next((str(one["state"]) for one in listed if one["name"] == name), "unknown")


async def is_in(client: httpx.AsyncClient, name: str, wanted: str) -> None:
    async with asyncio.timeout(BUDGET):
        while await state(client, name) != wanted:
            await asyncio.sleep(0.02)


async def test_a_gateway_killed_mid_start(
    workshop: Workshop, log: EventLog, tmp_path: Path
) -> None:
    made = workshop.container("db", labels={"ready-after": "2s"})
    with gateway(tmp_path / "a", workshop) as first:
        async with client_of(first) as client:
            asked = [asyncio.create_task(wake(client, "db")) for _ in range(20)]
            await until(lambda: log.count(made, "start"))
            first.kill()
            ended = await asyncio.gather(*asked, return_exceptions=True)
    assert all(isinstance(one, httpx.TransportError) for one in ended), ended
    with gateway(tmp_path / "b", workshop) as second:
        async with client_of(second) as client:
            answers = await asyncio.gather(*(wake(client, "db") for _ in range(20)))
            await ping(workshop, made)
    assert {one.status_code for one in answers} == {200}
    assert log.actions(made, "start", "kill", "die") == ["start"]
    assert log.running() == {made}


async def test_a_gateway_killed_with_requests_open(
    workshop: Workshop, log: EventLog, tmp_path: Path
) -> None:
    database, uses = Database(workshop, **{"idle-timeout": "1s"}), Uses()
    with gateway(tmp_path / "a", workshop, **database.settings) as first:
        async with client_of(first) as client:
            assert (await client.get("/v1/store")).status_code == 200
            # It hangs from here on, so that requests stay open.
            await asyncio.to_thread(workshop.api.kill, database.id, "SIGSTOP")
            asked = [asyncio.create_task(client.get("/v1/store")) for _ in range(20)]
            await is_leased(client, 20)
            first.kill()
            ended = await asyncio.gather(*asked, return_exceptions=True)
    assert all(isinstance(one, httpx.TransportError) for one in ended), ended
    await asyncio.to_thread(workshop.api.kill, database.id, "SIGCONT")
    with gateway(tmp_path / "b", workshop, **database.settings) as second:
        async with client_of(second) as client:
            await is_in(client, "store", "awake")
            for _ in range(20):
                with uses.use(database.id) as use:
                    answer = await client.get("/v1/store")
                    use.through_at = time.time()
                assert answer.status_code == 200, answer.text
                await asyncio.sleep(0.1)
            assert log.stops(database.id) == [], "adopted, and in use for two idle times"
            log.judge(uses, budget=BUDGET, desired={database.id})
            await until(lambda: log.count(database.id, "stop"), what="it gets its idle time")
    assert log.actions(database.id, "start", "stop") == ["start", "stop"]


async def is_leased(client: httpx.AsyncClient, times: int) -> None:
    async with asyncio.timeout(BUDGET):
        while True:
            (one,) = (await client.get("/health/containers")).json()["containers"]
            if one["leases"] >= times:
                return
            await asyncio.sleep(0.02)


async def test_requests_during_slow_stops_all_survive(
    workshop: Workshop, log: EventLog, tmp_path: Path
) -> None:
    names = [f"db{number}" for number in range(STOPS)]
    made = {name: workshop.container(name, command=SLOW_STOP) for name in names}
    uses = Uses()

    async def ask_while_it_stops(client: httpx.AsyncClient, number: int) -> None:
        name = names[number]
        assert (await wake(client, name)).status_code == 200
        stop = asyncio.create_task(client.post(f"/automation/containers/{name}/sleep"))
        await until(lambda: log.stops(made[name]), within=BUDGET)
        await asyncio.sleep(0.15 * number)
        with uses.use(made[name]) as use:
            assert (await wake(client, name)).status_code == 200
            use.through_at = time.time()
            await ping(workshop, made[name])
        await stop

    with gateway(tmp_path, workshop) as running:
        async with client_of(running) as client:
            await asyncio.gather(*(ask_while_it_stops(client, one) for one in range(STOPS)))
    for container_id in made.values():
        actions = log.actions(container_id, "start", "kill", "die")
        assert actions == ["start", "kill", "die", "start"]
    assert [one.outcome for one in uses.all] == ["served"] * STOPS
    log.judge(uses, budget=BUDGET, desired=set(made.values()))


async def test_a_thousand_requests_at_once_on_a_sleeping_container(
    workshop: Workshop, log: EventLog, tmp_path: Path
) -> None:
    database = Database(workshop, **{"ready-after": "1s"})
    with gateway(tmp_path, workshop, **database.settings) as running:
        async with client_of(running) as client:
            await is_in(client, "store", "asleep")
        asking = (ask_alone(running.url(), "GET /v1/store") for _ in range(CROWD))
        statuses = await asyncio.gather(*asking)
    assert Counter(statuses) == {b"HTTP/1.1 200 OK": CROWD}
    assert log.actions(database.id, "start", "kill", "die") == ["start"]
    assert log.running() == {database.id}


async def ask_alone(url: str, call: str) -> bytes:
    """The first line of the answer, on a connection of its own."""
    async with asyncio.timeout(BUDGET):
        reader, writer = await send(url, call)
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
    return answer.partition(b"\r\n")[0]


async def send(url: str, call: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    where = urlsplit(url)
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    head = f"{call} HTTP/1.1\r\nHost: {where.netloc}\r\nContent-Length: 0\r\n"
    writer.write(head.encode() + b"Connection: close\r\n\r\n")
    return reader, writer


async def test_a_caller_who_is_gone_mid_wake(
    workshop: Workshop, log: EventLog, tmp_path: Path
) -> None:
    made = workshop.container("db", labels={"ready-after": "1s"})
    with gateway(tmp_path, workshop) as running:
        async with client_of(running) as client:
            await is_in(client, "db", "asleep")
            _, writer = await send(running.url(), "POST /automation/containers/db/wake")
            await until(lambda: log.count(made, "start"))
            writer.transport.abort()
            await asyncio.gather(writer.wait_closed(), return_exceptions=True)
            assert (await wake(client, "db")).status_code == 200
            await ping(workshop, made)
    assert log.actions(made, "start", "kill", "die") == ["start"]
    assert log.running() == {made}


async def test_steps_of_the_clock_move_no_idle_time(
    workshop: Workshop, log: EventLog, tmp_path: Path
) -> None:
    clock = wall_clock(tmp_path)
    short = workshop.container("short", labels={"idle-timeout": "1s"})
    long = workshop.container("long", labels={"idle-timeout": "30m"})
    with gateway(tmp_path, workshop, **clock.settings) as running:
        async with client_of(running) as client:
            assert (await wake(client, "long")).status_code == 200
            clock.put(AN_HOUR)
            for number in range(20):
                clock.put(AN_HOUR if number % 2 else -AN_HOUR)
                assert (await wake(client, "short")).status_code == 200
                await ping(workshop, short)
                await asyncio.sleep(0.1)
            assert log.stops(short) == [], "in use for two idle times"
            clock.put(-AN_HOUR)
            await until(lambda: log.count(short, "stop"), what="an hour back delays nothing")
            assert (await wake(client, "short")).status_code == 200
    assert log.stops(long) == [], "an hour ahead is no hour idle"
    assert log.count(long, "start") == 1

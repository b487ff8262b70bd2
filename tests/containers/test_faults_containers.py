"""The fault table: containers that do not come up, or not well, asked for over HTTP.

Each row is a test with real containers and a gateway on a real socket. What happened is read from
the engine's own record; what a client is told, from the answer.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from pathlib import Path

import httpx
import pytest

from app.containers.lifecycle import State
from tests.containers.event_log import EventLog, Happened, Uses
from tests.containers.fault_stage import BUDGET, gateway_here, log, ping, use, wake
from tests.containers.fleets import Opened
from tests.real.engine import Workshop
from tests.real.require import find_binary, unavailable
from tests.real.server import free_port
from tests.waiting import until

__all__ = ["log"]
pytestmark = pytest.mark.real("docker")

SECOND = 1_000_000_000
ANSWERS_401 = (
    b"daemon off; user root root; pid /tmp/pid; events {} http { access_log off; "
    b"client_body_temp_path /tmp/a; proxy_temp_path /tmp/b; fastcgi_temp_path /tmp/c; "
    b"uwsgi_temp_path /tmp/d; scgi_temp_path /tmp/e; server { listen 80; return 401; } }"
)
ROOT = {"/etc/passwd": b"root:x:0:0:::\n", "/etc/group": b"root:x:0:\n"}
EAT_MEMORY = ["/bin/sh", "-c", "x=0123456789abcdef; while :; do x=$x$x; done"]
AT_REST = 0.5
"""Seconds in which a monitor that looks every 100 ms would do what it should not."""


def check(command: str, seconds: float = 0.2) -> dict[str, object]:
    interval = int(seconds * SECOND)
    return {"test": ["CMD-SHELL", command], "interval": interval, "timeout": SECOND, "retries": 1}


async def test_slow_health_is_waited_for_and_causes_no_second_start(
    workshop: Workshop, log: EventLog, tmp_path: Path
) -> None:
    command = "(/bin/sleep 2; echo > /tmp/well) & exec /bin/redis-server --protected-mode no"
    made = workshop.container(
        "db",
        command=["/bin/sh", "-c", command],
        labels={"ready": "health", "startup-timeout": "500ms"},
        healthcheck=check("test -e /tmp/well"),
    )
    async with gateway_here(tmp_path, workshop) as client:
        first = await wake(client, "db")
        assert first.status_code == 504
        assert "its health is" in first.json()["detail"]
        second = await wake(client, "db")
        assert second.status_code == 503
        await until(lambda: log.count(made, "health_status: healthy"))
        while (await wake(client, "db")).status_code != 200:
            await asyncio.sleep(0.1)
    assert log.actions(made, "start", "kill", "die") == ["start"]


async def test_flapping_health_causes_no_stop_and_no_start(
    workshop: Workshop, fleet_of: Opened, log: EventLog
) -> None:
    flip = "n=0; read n < /tmp/n; n=$((n+1)); echo $n > /tmp/n; exit $((n % 2))"
    made, uses = workshop.container("db", healthcheck=check(flip)), Uses()
    async with fleet_of(check_interval=0.1) as fleet:
        while len(log.events(made, "health_status: healthy", "health_status: unhealthy")) < 5:
            await use(fleet, workshop, uses, "db", made)
            await asyncio.sleep(0.02)
    assert log.actions(made, "start", "kill", "die") == ["start"]
    log.judge(uses, budget=BUDGET, desired={made})


async def test_a_port_that_never_opens(workshop: Workshop, log: EventLog, tmp_path: Path) -> None:
    labels = {"ready": "tcp:1", "startup-timeout": "500ms", "idle-timeout": "1s"}
    made = workshop.container("bad", labels=labels)
    async with gateway_here(tmp_path, workshop) as client:
        slow = await wake(client, "bad")
        assert slow.status_code == 504
        assert "nobody listens on its port 1" in slow.json()["detail"]
        refused = await wake(client, "bad")
        assert refused.status_code == 503
        assert "nobody listens on its port 1" in refused.json()["detail"]
        await until(lambda: log.count(made, "stop"), what="it is not left running for nobody")
    assert log.actions(made, "start", "stop") == ["start", "stop"]
    assert log.running() == set()


async def test_an_app_that_answers_401_is_up(
    workshop: Workshop, log: EventLog, tmp_path: Path
) -> None:
    server = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin")
    if server is None:
        unavailable("app that answers 401", "there is no nginx to make an image of")
    files: dict[str, str | Path | bytes] = {
        "/bin/nginx": server,
        "/nginx.conf": ANSWERS_401,
        **ROOT,
    }
    image = workshop.run.image_from_files(
        "unauthorised", files, ["/bin/nginx", "-e", "stderr", "-c", "/nginx.conf"], expose=[80]
    )
    made = workshop.container("app", image=image, labels={"ready": "http:80/"})
    async with gateway_here(tmp_path, workshop) as client:
        assert (await wake(client, "app")).status_code == 200
        address = workshop.api.inspect_container(made)["NetworkSettings"]["IPAddress"]
        assert httpx.get(f"http://{address}/").status_code == 401
    assert log.actions(made, "start", "kill", "die") == ["start"]


async def test_an_image_that_is_gone_does_not_keep_its_container_down(
    workshop: Workshop, log: EventLog, tmp_path: Path
) -> None:
    server = find_binary("redis-server")
    if server is None:
        unavailable("docker", "no redis-server on the PATH to make an image of")
    command = ["/bin/redis-server", "--protected-mode", "no"]
    image = workshop.run.image_from_files(
        "gone", {"/bin/redis-server": server}, command, expose=[6379]
    )
    made = workshop.container("db", image=image)
    workshop.api.remove_image(image, force=True)
    async with gateway_here(tmp_path, workshop) as client:
        assert (await wake(client, "db")).status_code == 200, "the engine keeps its layers"
        await ping(workshop, made)
    assert log.actions(made, "start", "die") == ["start"]


async def test_a_program_that_its_image_does_not_have(
    workshop: Workshop, log: EventLog, tmp_path: Path
) -> None:
    made = workshop.container("bad", command=["/bin/no-such-program"])
    async with gateway_here(tmp_path, workshop) as client:
        answers = [await wake(client, "bad") for _ in range(3)]
    assert [one.status_code for one in answers] == [503] * 3
    assert all("no-such-program" in one.json()["detail"] for one in answers)
    assert log.count(made, "start") == 0
    assert log.running() == set()


async def test_a_port_in_use(workshop: Workshop, log: EventLog, tmp_path: Path) -> None:
    ports = {6379: ("127.0.0.1", free_port())}
    first = workshop.container("first", port_bindings=ports)
    second = workshop.container("second", port_bindings=ports)
    async with gateway_here(tmp_path, workshop) as client:
        assert (await wake(client, "first")).status_code == 200
        refused = await wake(client, "second")
        assert refused.status_code == 503
        assert "port is already allocated" in refused.json()["detail"]
        await ping(workshop, first)
    assert log.count(second, "start") == 0
    assert log.running() == {first}


async def test_a_crash_loop_is_tried_ever_more_seldom(
    workshop: Workshop, log: EventLog, tmp_path: Path
) -> None:
    command = "/bin/sleep 0.3; echo out of cheese; exit 3"
    made = workshop.container(
        "bad", command=["/bin/sh", "-c", command], labels={"ready": "running"}
    )
    told = set()
    async with gateway_here(tmp_path, workshop) as client:
        deadline = time.monotonic() + BUDGET
        while log.count(made, "start") < 4 and time.monotonic() < deadline:
            answers = await asyncio.gather(*(wake(client, "bad") for _ in range(5)))
            told |= {one.json()["detail"] for one in answers if one.status_code == 503}
            await asyncio.sleep(0.05)
    pauses = pauses_before_starts(log, made)
    assert pauses[1] > 0.7, "forgiven once, then it waits"
    assert pauses[2] > 1.4, "and longer"
    assert log.events(made, "die")[0].attributes["exitCode"] == "3"
    assert any("exited with code 3; the last it wrote: out of cheese" in one for one in told), told


def pauses_before_starts(log: EventLog, container_id: str) -> list[float]:
    """Seconds that it lay down before it was started again, each time."""
    found: list[float] = []
    died: Happened | None = None
    for one in log.events(container_id, "start", "die"):
        if one.action == "die":
            died = one
        elif died is not None:
            found.append(one.at - died.at)
    return found


async def test_out_of_memory_is_told_apart_from_a_kill(
    workshop: Workshop, log: EventLog, tmp_path: Path
) -> None:
    greedy = workshop.container(
        "greedy",
        command=EAT_MEMORY,
        labels={"ready": "tcp:1"},
        mem_limit="16m",
        memswap_limit="16m",
    )
    killed = workshop.container("killed")
    async with gateway_here(tmp_path, workshop) as client:
        refused = await wake(client, "greedy")
        assert refused.status_code == 503
        assert "lack of memory (OOM, exit code 137)" in refused.json()["detail"]
        assert (await wake(client, "killed")).status_code == 200
        await asyncio.to_thread(workshop.api.kill, killed)
        async with asyncio.timeout(BUDGET):
            # Until the engine's event is here, who asks is let through to what was just killed.
            while (await client.get("/automation/containers/killed")).json()["state"] == "awake":
                await asyncio.sleep(0.01)
        assert (await wake(client, "killed")).status_code == 200
        await ping(workshop, killed)
    died = {one.id: one.attributes["exitCode"] for one in log.events(None, "die")}
    assert died == {greedy: "137", killed: "137"}, "by its code alone nobody could tell"
    assert (log.count(greedy, "oom") > 0, log.count(killed, "oom")) == (True, 0)
    assert (log.count(greedy, "start"), log.count(killed, "start")) == (1, 2)
    assert log.running() == {killed}


async def test_a_dependency_shared_by_two_sleeps_after_the_last_of_them(
    workshop: Workshop, fleet_of: Opened, log: EventLog
) -> None:
    db = workshop.container("db", labels={"idle-timeout": "1ms"})
    needs = {"depends-on": "db"}
    one = workshop.container("one", labels={**needs, "idle-timeout": "1ms"})
    two, uses = workshop.container("two", labels=needs), Uses()
    async with fleet_of(check_interval=0.05) as fleet:
        await asyncio.gather(
            use(fleet, workshop, uses, "one", one), use(fleet, workshop, uses, "two", two)
        )
        await until(lambda: log.count(one, "stop"))
        await asyncio.sleep(AT_REST)
        assert log.stops(db) == []
        log.judge(uses, budget=BUDGET, desired={db, two})
        await fleet.sleep("two")
        await until(lambda: log.count(db, "stop"))
    ends = [happened.id for happened in log.events(None, "die")]
    assert ends == [one, two, db]
    assert log.count(db, "start") == 1
    log.judge(uses, budget=BUDGET, desired=set())


async def test_a_paused_container_that_is_reported_unhealthy_is_left_alone(
    workshop: Workshop, fleet_of: Opened, log: EventLog
) -> None:
    made, uses = workshop.container("db", healthcheck=check("exit 1")), Uses()
    async with fleet_of(check_interval=0.05) as fleet:
        await use(fleet, workshop, uses, "db", made)
        await until(lambda: log.count(made, "health_status: unhealthy"))
        await asyncio.to_thread(workshop.api.pause, made)
        await until(lambda: fleet.view("db").state is State.ASLEEP)
        await asyncio.sleep(AT_REST)
        details = workshop.api.inspect_container(made)["State"]
        assert (details["Paused"], details["Health"]["Status"]) == (True, "unhealthy")
        assert log.actions(made, "start", "kill", "die", "unpause") == ["start"]
        await use(fleet, workshop, uses, "db", made)
    assert log.actions(made, "start", "kill", "die", "unpause") == ["start", "unpause"]
    log.judge(uses, budget=BUDGET, desired={made})

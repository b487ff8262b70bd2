"""What the automation of containers costs: cold starts, the gate, the monitor, sockets.

Cold starts are of real containers. The rest is measured on an engine that costs nothing, so that
what is left is ours: it is a process of its own, and the gateway that asks it too.
"""

from __future__ import annotations

import asyncio
import logging
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import structlog
import uvloop
from starlette.types import Message, Receive, Scope, Send

from app.containers.engine import Engine
from app.containers.fleet import Fleet
from app.containers.gate import ContainerGate as Door
from app.containers.policy import FleetPolicy
from app.middleware.container_gate import ContainerGate
from benchmarks.cold_starts import ColdStarts
from benchmarks.cold_starts import measure as cold_starts
from benchmarks.result import Bar, Figure, Result
from benchmarks.running import ROOT, Running, gateway, process, wait_for

OVER = 25.0
"""Milliseconds that a cold start may take over the engine's start and the service's own (p50)."""
GATE = 20.0
"""Microseconds a request to an awake container."""
MANAGED, SHARE = 500, 0.5
"""So many containers that do nothing may cost so many hundredths of a core."""
SOCKETS = 26
"""At once: as many as the gateway has threads for the engine."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is measured."""

    rounds: int = 25
    passes: int = 20_000
    managed: int = MANAGED
    watched_seconds: float = 60.0
    wakes: int = 1_000


def run(tiny: bool) -> Result:
    """Measure all four; ``tiny`` only sees that it works."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    scale = Scale(1, 200, 20, 1.0, 20) if tiny else Scale()
    with tempfile.TemporaryDirectory(prefix="containers-") as name:
        folder = Path(name)
        _say("cold starts")
        cold = cold_starts(folder / "cold", scale.rounds)
        _say("the gate")
        with _engine(folder / "gate", scale.managed) as host:
            gate = uvloop.run(_gate(host, scale.passes))
        _say("the monitor")
        share = _monitor(folder, scale)
        _say("wakes")
        counts, sockets = _wakes(folder / "wakes", scale.wakes)
    rows = [
        *_cold_rows(cold),
        _row(f"the gate, {scale.managed} containers: µs CPU a request", gate),
        _row(f"the monitor, {scale.managed} containers: % of a core", share),
        _row(f"{scale.wakes} wakes: sockets to the engine at once", float(counts["most_at_once"])),
        _row("sockets of the gateway afterwards", float(sockets)),
        _row("calls to the engine a wake", counts["calls"] / scale.wakes),
        _row("connections to the engine a wake", counts["accepted"] / scale.wakes),
    ]
    return Result("containers", tuple(rows), _bars(cold, gate, share, counts["most_at_once"]))


def _bars(cold: list[ColdStarts], gate: float, share: float, at_once: int) -> tuple[Bar, ...]:
    asked = f"a cold start takes at most {OVER:g} ms over the engine and the service"
    return (
        *(
            Bar(f"{asked} (p50): {one.name}", f"{_over(one):.1f} ms", met=_over(one) <= OVER)
            for one in cold
        ),
        Bar(f"the gate takes at most {GATE:g} µs", f"{gate:.1f} µs", met=gate <= GATE),
        Bar(f"the monitor takes under {SHARE:g} % of a core", f"{share:.2f} %", met=share < SHARE),
        Bar(f"at most {SOCKETS} sockets at once", str(at_once), met=at_once <= SOCKETS),
    )


def _over(one: ColdStarts) -> float:
    """Of each pair, because the machine changes from one to the next; each without the engine."""
    pairs = zip(one.by_hand, one.through, strict=True)
    return statistics.median(through.beside - by_hand.beside for by_hand, through in pairs)


def _more(one: ColdStarts) -> float:
    """The same with the engine, whose own starts differ more than everything else."""
    pairs = zip(one.by_hand, one.through, strict=True)
    return statistics.median(through.total - by_hand.total for by_hand, through in pairs)


def _cold_rows(cold: list[ColdStarts]) -> Iterator[dict[str, Figure]]:
    for one in cold:
        for way, starts in (("by hand", one.by_hand), ("through the gateway", one.through)):
            yield _row(
                f"{one.name} {way}: ms, p50", statistics.median(start.total for start in starts)
            )
            yield _row(
                f"{one.name} {way}: of these not the engine's start",
                statistics.median(start.beside for start in starts),
            )
        yield _row(f"{one.name}: ms more, p50 of pairs", _more(one))
        yield _row(f"{one.name}: the same without the engine's start", _over(one))


def _row(what: str, figure: float) -> dict[str, Figure]:
    return {"what": what, "figure": figure}


async def _gate(host: str, passes: int) -> float:
    """Microseconds of CPU that the gate adds to a request, its container awake."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        return

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(_: Message) -> None:
        return

    scope: Scope = {"type": "http", "path": "/v1/store", "headers": []}
    async with Fleet(Engine(host), FleetPolicy()) as fleet:
        await fleet.ready("c0", within=10)
        gated = ContainerGate(app, {"/v1/store": Door(fleet, "mongodb", within=10)})
        costs = []
        for _ in range(5):
            took = []
            for asked in (app, gated):
                began = time.thread_time()
                for _ in range(passes // 5):
                    await asked(scope, receive, send)
                took.append(time.thread_time() - began)
            costs.append((took[1] - took[0]) / (passes // 5) * 1e6)
    return statistics.median(costs)


def _monitor(folder: Path, scale: Scale) -> float:
    """Hundredths of a core that a gateway takes for its containers, and one without does not."""
    with (
        _engine(folder / "many", scale.managed) as many,
        _engine(folder / "none", 0) as none,
        _automatic(folder / "with", many) as busy,
        _automatic(folder / "without", none) as idle,
    ):
        with httpx.Client(base_url=busy.url, timeout=30) as client:
            for number in range(scale.managed // 2):
                client.post(f"/automation/containers/c{number}/wake").raise_for_status()
        before = (_cpu_seconds(busy.pid), _cpu_seconds(idle.pid))
        began = time.monotonic()
        time.sleep(scale.watched_seconds)
        seconds = time.monotonic() - began
        spent = _cpu_seconds(busy.pid) - before[0] - (_cpu_seconds(idle.pid) - before[1])
    return 100 * max(0.0, spent) / seconds


def _wakes(folder: Path, wakes: int) -> tuple[dict[str, int], int]:
    """What the engine counted during so many wakes, 50 at a time; sockets left in the gateway."""
    with _engine(folder, wakes) as host, _automatic(folder / "gateway", host) as ours:
        before = _counts(host)
        asyncio.run(_wake_all(ours.url, wakes))
        after = _counts(host)
        if after["starts"] != wakes:
            raise RuntimeError(f"{after['starts']} starts for {wakes} wakes")
        found = {name: after[name] - before[name] for name in ("accepted", "calls")}
        return {**found, "most_at_once": after["most_at_once"]}, _sockets(ours.pid)


async def _wake_all(url: str, wakes: int) -> None:
    limits = httpx.Limits(max_connections=50)
    async with httpx.AsyncClient(base_url=url, timeout=60, limits=limits) as client:
        asked = (client.post(f"/automation/containers/c{number}/wake") for number in range(wakes))
        for answer in await asyncio.gather(*asked):
            answer.raise_for_status()


def _automatic(folder: Path, host: str) -> AbstractContextManager[Running]:
    return gateway(
        "http://127.0.0.1:9",
        folder,
        DOCKER_HOST=host,
        CONTAINER_AUTO_START="true",
        CONTAINER_AUTO_STOP="true",
    )


@contextmanager
def _engine(folder: Path, count: int) -> Iterator[str]:
    """The address of a simulated engine with ``count`` containers."""
    folder.mkdir(exist_ok=True)
    path, log = folder / "engine.sock", folder / "engine.log"
    command = [sys.executable, "-m", "benchmarks.simulated_engine", str(path), str(count)]
    with process(command, log, {**os.environ, "PYTHONPATH": str(ROOT)}) as started:
        wait_for(lambda: log.read_text() or None, started, log)
        yield f"unix://{path}"


def _counts(host: str) -> dict[str, int]:
    transport = httpx.HTTPTransport(uds=host.removeprefix("unix://"))
    with httpx.Client(transport=transport, base_url="http://engine") as client:
        found: dict[str, int] = client.get("/counts").json()
    return found


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _sockets(pid: int) -> int:
    links = [os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir()]
    return sum(link.startswith("socket:") for link in links)


def _say(what: str) -> None:
    print(f"containers: {what}", file=sys.stderr)

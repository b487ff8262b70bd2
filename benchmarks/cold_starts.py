"""What a cold start through the gateway takes over the engine's start and the service's own.

Two containers, one with Redis and one that speaks MongoDB's protocol. In turn each is started by
hand and asked every millisecond until it answers, and asked for through a gateway while it sleeps.
Both go to the engine by way of a clock, see ``engine_clock``.
"""

from __future__ import annotations

import os
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import bson
import httpx
from docker.errors import DockerException

from benchmarks.engine_clock import EngineClock, engine_clock
from benchmarks.running import NotInstalled, gateway
from tests.real.engine import DEFAULT_HOST, EngineRun, Workshop
from tests.real.require import find_binary
from tests.real.server import free_port

_PATIENCE = 30.0
_AT_REST = 1.0
"""MongoDB's driver looks for a lost server twice a second at most: nobody asks that soon for what
was idle for minutes."""
_FERRETDB = ["/bin/ferretdb", "--handler=sqlite", "--sqlite-url=file:/tmp/", "--state-dir=/tmp"]
_FERRETDB += ["--listen-addr=:27017", "--telemetry=disable", "--debug-addr=-", "--log-level=WARN"]


@dataclass(frozen=True, slots=True)
class Service:
    """A container, and how it is asked whether it serves: these bytes, and any answer will do."""

    name: str
    id: str
    port: int
    question: bytes
    request: tuple[str, str]
    """What a client of the gateway asks that needs it: method and path."""


@dataclass(frozen=True, slots=True)
class Start:
    """Milliseconds from the question to the answer, and how many of them the engine took."""

    total: float
    engine: float

    @property
    def beside(self) -> float:
        """What the rest took: the service's own readiness, and whoever waits for it."""
        return self.total - self.engine


@dataclass(frozen=True, slots=True)
class ColdStarts:
    """The starts of each round, by hand and through the gateway."""

    name: str
    by_hand: list[Start]
    through: list[Start]


def measure(folder: Path, rounds: int) -> list[ColdStarts]:
    """Both services, in turn. Raises ``NotInstalled``."""
    folder.mkdir()
    with _clock(folder) as clock, workshop_at(clock.host) as workshop:
        port = free_port()
        services = (_redis(workshop), mongodb(workshop, port))
        settings = {
            "CONTAINER_SCOPE": workshop.case,
            "DOCKER_HOST": workshop.run.host,
            "CONTAINER_AUTO_START": "true",
            "CONTAINER_AUTO_STOP": "true",
            "MONGODB_URI": f"mongodb://127.0.0.1:{port}",
        }
        with (
            gateway("http://127.0.0.1:9", folder / "gateway", **settings) as ours,
            httpx.Client(base_url=ours.url, timeout=_PATIENCE) as client,
        ):
            stage = _Stage(workshop, client, clock)
            return [_rounds(stage, one, rounds) for one in services]


@dataclass(frozen=True, slots=True)
class _Stage:
    workshop: Workshop
    client: httpx.Client
    clock: EngineClock


def _rounds(stage: _Stage, service: Service, rounds: int) -> ColdStarts:
    workshop, client = stage.workshop, stage.client
    found = ColdStarts(service.name, [], [])
    for number in range(rounds + 1):
        by_hand = _timed(stage.clock, lambda: _start_by_hand(workshop, service))
        _put_to_sleep(workshop, client, service)
        through = _timed(stage.clock, lambda: _ask(client, service))
        _put_to_sleep(workshop, client, service)
        if number:  # the first one warms up
            found.by_hand.append(by_hand)
            found.through.append(through)
    return found


def _start_by_hand(workshop: Workshop, service: Service) -> None:
    workshop.api.start(service.id)
    details = workshop.api.inspect_container(service.id)
    address = details["NetworkSettings"]["IPAddress"]
    _until(lambda: _serves(address, service), pause=0.001)


def _serves(address: str, service: Service) -> bool:
    try:
        with socket.create_connection((address, service.port), 1.0) as asking:
            asking.sendall(service.question)
            return bool(asking.recv(64))
    except OSError:
        return False


def _ask(client: httpx.Client, service: Service) -> None:
    method, path = service.request
    client.request(method, path).raise_for_status()


def _put_to_sleep(workshop: Workshop, client: httpx.Client, service: Service) -> None:
    """Stop it by hand once the gateway has seen it up; return a while after it has seen that."""
    _until(lambda: _state(client, service) == "awake", pause=0.02)
    workshop.api.stop(service.id)
    _until(lambda: _state(client, service) == "asleep", pause=0.02)
    time.sleep(_AT_REST)


def _state(client: httpx.Client, service: Service) -> str:
    listed = client.get("/health/containers").json()["containers"]
    return next((str(one["state"]) for one in listed if one["name"] == service.name), "unknown")


def _until(condition: Callable[[], bool], pause: float) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError(f"not within {_PATIENCE:g} s: {condition}")
        time.sleep(pause)


def _timed(clock: EngineClock, do: Callable[[], None]) -> Start:
    earlier, began = len(clock.starts), time.perf_counter()
    do()
    total = (time.perf_counter() - began) * 1000
    starts = clock.starts[earlier:]
    if len(starts) != 1:
        raise RuntimeError(f"the engine was told to start {len(starts)} times")
    return Start(total, starts[0])


@contextmanager
def _clock(folder: Path) -> Iterator[EngineClock]:
    host = os.environ.get("DOCKER_HOST") or DEFAULT_HOST
    scheme, _, path = host.partition("://")
    if scheme != "unix":
        raise NotInstalled(f"the engine at {host} is not behind a socket that a clock fits into")
    with engine_clock(Path(path), folder) as clock:
        yield clock


@contextmanager
def workshop_at(host: str) -> Iterator[Workshop]:
    """Containers of the engine at ``host``, gone after the block. Raises ``NotInstalled``."""
    try:
        run = EngineRun(host)
    except DockerException as error:
        raise NotInstalled(f"there is no container engine at {host}: {error}") from None
    try:
        yield Workshop(run, f"bench{os.getpid()}")
    finally:
        run.remove_all()


def _redis(workshop: Workshop) -> Service:
    if find_binary("redis-server") is None:
        raise NotInstalled("there is no redis-server: scripts/install_real_servers installs it")
    made = workshop.container("redis")
    return Service("redis", made, 6379, b"PING\r\n", ("POST", "/automation/containers/redis/wake"))


def mongodb(workshop: Workshop, port: int) -> Service:
    """A server for MongoDB's protocol that sleeps, at ``port`` of this machine when it is up."""
    server = find_binary("ferretdb")
    if server is None:
        raise NotInstalled("there is no ferretdb: scripts/install_real_servers builds it")
    image = workshop.run.image_from_files("ferretdb", {"/bin/ferretdb": server}, expose=[27017])
    made = workshop.container(
        "mongodb",
        image=image,
        command=_FERRETDB,
        labels={"provides": "mongodb"},
        port_bindings={27017: ("127.0.0.1", port)},
    )
    body = bson.encode({"hello": 1, "$db": "admin"})
    message = struct.pack("<iiii", 16 + 5 + len(body), 1, 0, 2013) + b"\0\0\0\0\0" + body
    return Service("mongodb", made, 27017, message, ("GET", "/v1/store"))

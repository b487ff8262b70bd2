"""A real server that speaks MongoDB's protocol, for tests that want to talk to one.

Looked for in this order: an address in ``MONGODB_URI``, ``mongod``, ``ferretdb`` (with SQLite
behind it). The first that comes up is used for the whole session; each test gets a database of
its own, which is dropped after it.
"""

from __future__ import annotations

import gc
import os
import uuid
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from tests.real.require import find_binary, unavailable
from tests.real.server import Server, ServerNotStarted, ServerProcess, free_port

_PATIENCE = 30.0
_PING = 0.5

Command = Callable[[str, int, Path], list[str]]
"""Program, port, empty folder for the data -> what to run."""


def _mongod(program: str, port: int, folder: Path) -> list[str]:
    return [
        program,
        f"--dbpath={folder}",
        f"--port={port}",
        "--bind_ip=127.0.0.1",
        "--nounixsocket",
        "--quiet",
    ]


def _ferretdb(program: str, port: int, folder: Path) -> list[str]:
    return [
        program,
        "--handler=sqlite",
        f"--sqlite-url=file:{folder}/",
        f"--state-dir={folder}",
        f"--listen-addr=127.0.0.1:{port}",
        "--debug-addr=-",
        "--telemetry=disable",
        "--log-level=WARN",
    ]


PROGRAMS: dict[str, Command] = {"mongod": _mongod, "ferretdb": _ferretdb}


class MongoServer(Server):
    """A server at ``uri``: a process of ours, unless an address was given."""

    what, variable = "mongodb", "MONGODB_URI"

    def __init__(self, uri: str, process: ServerProcess | None = None) -> None:
        super().__init__(process)
        self.uri = uri

    def complaint(self) -> str | None:
        try:
            with _client(self.uri, _PING) as client:
                client.admin.command("ping")
        except PyMongoError as error:
            return str(error)
        return None


class MongoProcess(MongoServer):
    """A server process on a free port of its own, which it keeps when started again."""

    def __init__(self, program: str, command: Command, folder: Path) -> None:
        port = free_port()
        data = folder / "data"
        data.mkdir()
        process = ServerProcess(command(program, port, data), folder / "log")
        super().__init__(f"mongodb://127.0.0.1:{port}", process)


@pytest.fixture(scope="session")
def mongo_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MongoServer]:
    """The session's server. A test may kill or pause it and need not put it right again."""
    server = _first_that_starts(tmp_path_factory)
    yield server
    server.stop()


@pytest.fixture
def mongo_database(mongo_server: MongoServer) -> Iterator[str]:
    """The name of an empty database on ``mongo_server``, gone after the test."""
    mongo_server.start()
    name = f"test_{uuid.uuid4().hex[:16]}"
    yield name
    mongo_server.start()
    with _client(mongo_server.uri, _PATIENCE) as client:
        client.drop_database(name)
    collect_what_the_driver_left()


def collect_what_the_driver_left() -> None:
    """A driver that is closed while it connects forgets its socket (mongo-python-driver#2858).

    Found later, by chance, it would be the fault of a test that has nothing to do with it.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def _first_that_starts(folders: pytest.TempPathFactory) -> MongoServer:
    if uri := os.environ.get("MONGODB_URI"):
        server = MongoServer(uri)
        server.start()
        return server
    reasons = []
    for name, command in PROGRAMS.items():
        program = find_binary(name)
        if program is None:
            reasons.append(f"there is no {name}")
            continue
        process = MongoProcess(program, command, folders.mktemp(name))
        try:
            process.start()
        except ServerNotStarted as failure:
            reasons.append(str(failure))
            continue
        return process
    return unavailable("mongodb", "; ".join(reasons))


def _client(uri: str, seconds: float) -> MongoClient[dict[str, object]]:
    return MongoClient(uri, serverSelectionTimeoutMS=int(seconds * 1000))

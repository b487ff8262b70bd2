"""A real server that speaks MongoDB's protocol, for tests that want to talk to one.

Looked for in this order: an address in ``MONGODB_URI``, ``mongod``, ``ferretdb`` (with SQLite
behind it). The first that comes up is used for the whole session; each test gets a database of
its own, which is dropped after it.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from tests.real.require import find_binary, unavailable

_READY_WITHIN = 30.0
_STOPPED_WITHIN = 10.0
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


class ServerNotStarted(Exception):
    """Raised when a server does not come up; the message ends with its log."""


class MongoServer:
    """A server at ``uri``: a process of ours, unless an address was given."""

    def __init__(self, uri: str) -> None:
        self.uri = uri

    def start(self) -> None:
        """Return when it answers; at once if it runs. Raises ``ServerNotStarted``."""
        _wait_until_ready(self.uri, lambda: True)

    def kill(self) -> None:
        """End it at once, as a crash would."""
        self._not_ours()

    def pause(self) -> None:
        """Let it hang, connections and all, as a paused container does."""
        self._not_ours()

    def resume(self) -> None:
        """Undo ``pause``; nothing if it is not paused."""

    def stop(self) -> None:
        """End it in good order; nothing if it does not run, or is not ours."""

    def _not_ours(self) -> NoReturn:
        unavailable("mongodb to do harm to", "the one in MONGODB_URI is not ours")


class MongoProcess(MongoServer):
    """A server process on a free port of its own, which it keeps when started again."""

    def __init__(self, program: str, command: Command, folder: Path) -> None:
        self._port = _free_port()
        super().__init__(f"mongodb://127.0.0.1:{self._port}")
        data = folder / "data"
        data.mkdir()
        self._command = command(program, self._port, data)
        self._log = folder / "log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.resume()
        if self._process is None:
            with self._log.open("ab") as log:
                self._process = subprocess.Popen(
                    self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log
                )
        process = self._process
        try:
            _wait_until_ready(self.uri, lambda: process.poll() is None)
        except ServerNotStarted as failure:
            self.kill()
            log_tail = self._log.read_text(errors="replace")[-4000:]
            raise ServerNotStarted(f"{failure}: {self._command[0]}\n{log_tail}") from None

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(_STOPPED_WITHIN)
            self._process = None

    def pause(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        if self._process is not None:
            self.resume()
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(_STOPPED_WITHIN)
            except subprocess.TimeoutExpired:
                self.kill()
            self._process = None


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
    with _client(mongo_server.uri, _READY_WITHIN) as client:
        client.drop_database(name)


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


def _wait_until_ready(uri: str, alive: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _READY_WITHIN
    while alive():
        try:
            with _client(uri, _PING) as client:
                client.admin.command("ping")
        except PyMongoError as error:
            if time.monotonic() > deadline:
                raise ServerNotStarted(f"not ready in {_READY_WITHIN:g} s ({error})") from None
        else:
            return
    raise ServerNotStarted("it ended at once")


def _client(uri: str, seconds: float) -> MongoClient[dict[str, object]]:
    return MongoClient(uri, serverSelectionTimeoutMS=int(seconds * 1000))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port

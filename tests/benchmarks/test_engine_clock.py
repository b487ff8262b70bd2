"""The clock in the engine's socket hands on what it is given, and times starts alone."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingUnixStreamServer

import pytest

from benchmarks.engine_clock import EngineClock, engine_clock

SLOW = 0.05


class _Engine(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        if self.path.partition("?")[0].endswith("/start"):
            time.sleep(SLOW)
        body = self.path.encode() + self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        return


class _Client(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("engine")
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(self._path))

    def post(self, path: str, body: bytes = b"") -> bytes:
        self.request("POST", path, body)
        return self.getresponse().read()


@pytest.fixture
def clock(tmp_path: Path) -> Iterator[EngineClock]:
    path = tmp_path / "engine.sock"
    with ThreadingUnixStreamServer(str(path), _Engine) as engine:
        serving = threading.Thread(target=engine.serve_forever)
        serving.start()
        with engine_clock(path, tmp_path) as clock:
            yield clock
        engine.shutdown()
        serving.join()


@pytest.fixture
def client(clock: EngineClock) -> Iterator[_Client]:
    client = _Client(Path(clock.host.removeprefix("unix://")))
    yield client
    client.close()


def test_what_goes_through_is_unchanged(client: _Client) -> None:
    body = bytes(range(256)) * 2_000
    assert client.post("/v1.41/containers/create", body) == b"/v1.41/containers/create" + body


def test_a_start_is_timed_and_nothing_else_is(clock: EngineClock, client: _Client) -> None:
    for path in ("/v1.41/containers/a1/stop", "/v1.41/containers/start", "/start"):
        client.post(path)
    assert clock.starts == []
    for path in ("/v1.41/containers/a1/start", "/containers/b2/start?detachKeys="):
        assert client.post(path) == path.encode()
    assert len(clock.starts) == 2
    assert min(clock.starts) >= SLOW * 1000


def test_an_engine_that_is_gone_ends_the_call(tmp_path: Path) -> None:
    with engine_clock(tmp_path / "nowhere.sock", tmp_path) as clock:
        client = _Client(Path(clock.host.removeprefix("unix://")))
        with pytest.raises(ConnectionError):
            client.post("/v1.41/containers/a1/start")
        client.close()
        assert clock.starts == []

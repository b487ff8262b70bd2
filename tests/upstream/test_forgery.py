"""Nobody makes the gateway ask for what the catalogue has not, or anybody but the upstream.

A real gateway, a real upstream that writes down what it is asked and sends everybody on to another
server, and that other server, which must never be asked.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from app.kingdom.catalogue import OPERATIONS, Catalogue
from tests.processes import drawbridge


@dataclass
class Recorder:
    """A server that writes down what it is asked, and sends everybody to ``elsewhere``."""

    elsewhere: str = ""
    asked: list[tuple[str, str]] = field(default_factory=list)
    port: int = 0


@contextmanager
def recording(recorder: Recorder) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            recorder.asked.append((self.path, self.headers.get("host", "")))
            self.send_response(302)
            self.send_header("Location", f"http://{recorder.elsewhere}/stolen")
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_POST = do_GET

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    recorder.port = server.server_port
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        serving.join()
        server.server_close()


@dataclass
class Place:
    """A gateway, its upstream, and a server that nobody should ask."""

    port: int
    upstream: Recorder
    evil: Recorder


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder: Path = tmp_path_factory.mktemp("forgery")
    upstream, evil = Recorder(), Recorder()
    with recording(evil) as elsewhere, recording(upstream) as address:
        upstream.elsewhere = elsewhere
        given_ = {
            "ESTFOR_API_URL": f"http://{address}",
            "DOCKER_HOST": f"unix://{folder}/none",
            "RATE_LIMIT": "off",
            "ACCESS_LOG": "false",
            "CACHE_MEMORY_SIZE": "1MB",
        }
        with drawbridge(folder, "serve", "--port", "0", settings=given_) as gateway:
            yield Place(int(gateway.url().rpartition(":")[2]), upstream, evil)


def ask(port: int, target: bytes, headers: bytes = b"") -> bytes:
    """What comes back for a request with that very target."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as peer:
        peer.sendall(
            b"GET %b HTTP/1.1\r\nHost: a\r\n%bConnection: close\r\n\r\n" % (target, headers)
        )
        said = b""
        while piece := peer.recv(65_536):
            said += piece
        return said


KNOWN = [operation.path.partition("{")[0] for operation in OPERATIONS if operation.body is None]
ODD = st.sampled_from(
    ["/", "//", "\\", "@", "..", "/../", "%2f", "%2F..%2F", "%5c", "%40", "%00", "%0d%0a", "%23",
     "?", "#", ";", ":", "&", "=", "a[]=", "EVIL", "http://EVIL", "//EVIL", "%2f%2fEVIL", "1",
     "abc", "players", "internal", "\x7f", "é", "%", "%zz", " "]
)  # fmt: skip
TARGETS = st.builds(
    lambda start, parts: start + "".join(parts),
    st.sampled_from([*KNOWN, "/", "//", "http://EVIL/", "http://EVIL@EVIL/", "*", "", "EVIL:80"]),
    st.lists(ODD, max_size=6),
)


@settings(
    max_examples=300,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(target=TARGETS, forwarded=st.booleans())
@example(target="//EVIL/players", forwarded=False)
@example(target="http://EVIL/players", forwarded=True)
@example(target="/players/@EVIL", forwarded=False)
@example(target="/players/..%2f..%2finternal", forwarded=False)
@example(target="/players/1%0d%0aHost:%20EVIL", forwarded=False)
@example(target="/players?name=x%0d%0aX: y", forwarded=False)
@example(target="/players/\\\\EVIL", forwarded=False)
def test_only_the_upstream_is_asked_and_only_what_the_catalogue_has(
    place: Place, target: str, forwarded: bool
) -> None:
    evil = f"127.0.0.1:{place.evil.port}"
    spoofed = f"X-Forwarded-Host: {evil}\r\nX-Original-URL: http://{evil}/\r\n".encode()
    sent = target.replace("EVIL", evil).encode("latin-1", "replace")
    ask(place.port, sent, spoofed if forwarded else b"")
    assert place.evil.asked == []
    catalogue = Catalogue()
    for asked, host in place.upstream.asked:
        path = asked.partition("?")[0]
        assert host == f"127.0.0.1:{place.upstream.port}"
        assert path.startswith("/")
        assert not path.startswith("//")
        assert catalogue.at(path), asked
        assert ".." not in unquote(path).split("/")
        assert not set("\r\n\\ ") & set(asked)
    place.upstream.asked.clear()


def test_the_upstream_was_asked_at_all_and_its_redirect_is_no_answer(place: Place) -> None:
    said = ask(place.port, b"/clan-tiers")
    assert place.upstream.asked
    assert place.evil.asked == []
    assert not said.startswith(b"HTTP/1.1 30")

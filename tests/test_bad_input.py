"""Input from hell, at a real server: refused early, and memory stays where it was."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.processes import Drawbridge, drawbridge

MEGABYTE = 1_000_000


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Drawbridge]:
    settings = {
        "ESTFOR_API_URL": "http://127.0.0.1:9",
        "DOCKER_HOST": f"unix://{tmp_path}/no-engine.sock",
    }
    with drawbridge(tmp_path, "serve", "--port", "0", settings=settings) as running:
        httpx.get(f"{running.url()}/openapi.json")
        yield running
        assert running.stop() == 0


def resident(gateway: Drawbridge) -> int:
    """Bytes of memory that it uses."""
    status = Path(f"/proc/{gateway.process.pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) * 1024


def send(gateway: Drawbridge, head: bytes, piece: bytes = b"", pieces: int = 0) -> bytes:
    """Write a request as it comes; what was answered, however the connection ends."""
    parts = urlsplit(gateway.url())
    with socket.create_connection((str(parts.hostname), parts.port or 0), timeout=20) as connection:
        try:
            connection.sendall(head)
            for _ in range(pieces):
                connection.sendall(piece)
            connection.shutdown(socket.SHUT_WR)
        except (BrokenPipeError, ConnectionResetError):
            return b"closed"
        answer = b""
        try:
            while chunk := connection.recv(65536):
                answer += chunk
        except ConnectionResetError:
            return answer or b"closed"
    return answer


def test_a_query_of_a_megabyte(gateway: Drawbridge) -> None:
    before = resident(gateway)
    for _ in range(20):
        head = b"GET /players?name=" + b"x" * MEGABYTE + b" HTTP/1.1\r\nhost: x\r\n\r\n"
        answer = send(gateway, head)
        assert answer.startswith((b"HTTP/1.1 414", b"HTTP/1.1 400", b"closed")), answer[:200]
    assert resident(gateway) - before < 20 * MEGABYTE


@pytest.mark.parametrize("framing", [b"content-length: 100000000", b"transfer-encoding: chunked"])
def test_a_body_of_a_hundred_megabytes(gateway: Drawbridge, framing: bytes) -> None:
    before = resident(gateway)
    head = b"POST /players/multi HTTP/1.1\r\nhost: x\r\n" + framing + b"\r\n\r\n"
    piece = b"x" * MEGABYTE
    if b"chunked" in framing:
        piece = b"%x\r\n" % MEGABYTE + piece + b"\r\n"
    answer = send(gateway, head, piece, 100)
    assert answer.startswith((b"HTTP/1.1 413", b"closed")), answer[:200]
    assert resident(gateway) - before < 20 * MEGABYTE


def test_a_body_that_is_refused_is_told_so(gateway: Drawbridge) -> None:
    response = httpx.post(f"{gateway.url()}/players/multi", content=b"x" * 300_000)
    assert response.status_code == 413
    assert "256000 bytes" in response.json()["detail"]
    assert response.headers["connection"] == "close"


@pytest.mark.parametrize(
    "head",
    [
        b"nonsense\r\n\r\n",
        b"GET /players HTTP/9.9\r\n\r\n",
        b"GET /players HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
        b"GET /players HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
        b"GET /pl\x00ayers HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET /players HTTP/1.1\r\nbad header\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01",
    ],
)
def test_what_is_no_request_is_refused(gateway: Drawbridge, head: bytes) -> None:
    answer = send(gateway, head)
    assert answer.startswith((b"HTTP/1.1 4", b"closed")) or answer == b"", answer[:200]
    assert httpx.get(f"{gateway.url()}/health/live").status_code == 200


def test_nothing_of_it_was_stored(gateway: Drawbridge) -> None:
    httpx.post(f"{gateway.url()}/players/multi", content=b"{")
    httpx.get(f"{gateway.url()}/players?" + "tokenIds[]=1&" * 3000)
    stored = httpx.get(f"{gateway.url()}/v1/store").json()
    assert stored == {"kind": "sqlite", "entries": 0, "bytes": 0}

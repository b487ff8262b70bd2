"""The status of an answer, from real servers that answer well, badly or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from app.containers.http_status import http_status
from tests.waiting import until

REQUEST = b"GET /a?b=c HTTP/1.1\r\nHost: somewhere\r\nConnection: close\r\n\r\n"


class Server:
    """Hears ``heard``, says ``answer``, keeps the line open; ``open`` lines are not closed yet."""

    def __init__(self, answer: bytes) -> None:
        self.heard = b""
        self.open = 0
        self.port = 0
        self._answer = answer

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        try:
            self.heard += await reader.readuntil(b"\r\n\r\n")
            writer.write(self._answer)
            await reader.read()
        except ConnectionError:
            # Whoever asked did not read to the end.
            return
        finally:
            self.open -= 1
            writer.close()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[Server]:
        async with await asyncio.start_server(self._serve, "127.0.0.1", 0) as server:
            self.port = server.sockets[0].getsockname()[1]
            yield self


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", 200),
        (b"HTTP/1.0 409 Conflict\r\n\r\n", 409),
        (b"HTTP/1.1 301 Moved\r\nLocation: http://127.0.0.1:1/\r\n\r\n", 301),
        (b"HTTP/2 503\r\n\r\n", 503),
    ],
)
async def test_the_status_of_what_is_asked_and_nothing_stays_open(
    answer: bytes, status: int
) -> None:
    async with Server(answer).listening() as server:
        assert await http_status("127.0.0.1", server.port, REQUEST) == status
        assert server.heard == REQUEST
        await until(lambda: server.open == 0)


@pytest.mark.parametrize("answer", [b"-ERR what\r\n", b"x" * 200_000, b"HTTP/1.1 20\r\n"])
async def test_what_is_not_http_is_refused_and_nothing_stays_open(answer: bytes) -> None:
    async with Server(answer).listening() as server:
        with pytest.raises(ValueError, match=r"does not speak HTTP|exceed the limit"):
            await http_status("127.0.0.1", server.port, REQUEST)
        await until(lambda: server.open == 0)


async def test_who_gives_up_waiting_leaves_nothing_open() -> None:
    async with Server(b"").listening() as server:
        asking = asyncio.create_task(http_status("127.0.0.1", server.port, REQUEST))
        await until(lambda: server.heard)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await until(lambda: server.open == 0)


async def test_with_tls_nothing_is_said_in_clear() -> None:
    heard = b""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal heard
        heard = await reader.read(1)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(OSError):  # noqa: PT011 - how it fails is up to the system
            await http_status("127.0.0.1", port, REQUEST, tls=True)
    assert heard == b"\x16", "the first byte of a TLS handshake"


async def test_what_is_not_http_is_no_answer() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello\r\n")
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(ValueError, match="does not speak HTTP"):
            await http_status("127.0.0.1", port, REQUEST)
    with pytest.raises(OSError, match="Connect call failed"):
        await http_status("127.0.0.1", port, REQUEST)

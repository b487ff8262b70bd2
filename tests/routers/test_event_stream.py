"""Server-sent events over real sockets: heartbeats, readers that do not read, the end."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpx
from fastapi import FastAPI
from starlette.responses import Response
from structlog.testing import capture_logs

from app.routers import problems
from app.routers.event_stream import EventStreams, Pieces, StreamRules, dropped, event
from app.serving import address, beside, bind
from tests.waiting import until


class Source:
    """Pieces of one kind, as they are asked for; counts those that read, and those that ended."""

    def __init__(self, piece: bytes = b"data: x\n\n", count: int = 10**9) -> None:
        self._piece = piece
        self._count = count
        self.given = 0
        self.begun = 0
        self.ended = 0

    async def pieces(self) -> Pieces:
        self.begun += 1
        try:
            for _ in range(self._count):
                self.given += 1
                yield self._piece
            await asyncio.Event().wait()
        finally:
            self.ended += 1


@asynccontextmanager
async def served(
    pieces: Callable[[], Pieces], stopping: asyncio.Event | None = None, **rules: float
) -> AsyncIterator[str]:
    """The address of an application that streams ``pieces`` to whoever asks."""
    stop = stopping or asyncio.Event()
    streams = EventStreams(stop, StreamRules(**rules))  # type: ignore[arg-type]
    app = FastAPI()
    problems.install(app, lambda path: None)

    @app.get("/s")
    async def stream() -> Response:
        return streams.of(pieces())

    listening = bind("127.0.0.1", 0)
    async with beside(listening, app, on_stop=stop.set):
        yield address(listening)


def test_an_event_is_written_as_the_standard_has_it() -> None:
    assert event("players", b"{}", "5-1") == b"id: 5-1\nevent: players\ndata: {}\n\n"
    assert event("state", b"{}") == b"event: state\ndata: {}\n\n"
    assert dropped("too slow") == b'event: dropped\ndata: {"reason":"too slow"}\n\n'


async def test_quiet_streams_are_heard_of_and_end_with_their_reader() -> None:
    source = Source(count=2)
    async with served(source.pieces, heartbeat=0.05) as url, httpx.AsyncClient() as client:
        async with client.stream("GET", f"{url}/s") as response:
            assert response.headers["content-type"].startswith("text/event-stream")
            assert response.headers["cache-control"] == "no-store"
            heard = ""
            async for text in response.aiter_text():
                heard += text
                if heard.count("still here") == 3:
                    break
        assert heard == "data: x\n\n" * 2 + ": still here\n\n" * 3
        await until(lambda: source.ended == 1)


async def test_there_are_only_so_many_and_each_gives_its_place_back() -> None:
    source = Source(count=1)
    async with (
        served(source.pieces, most=2) as url,
        httpx.AsyncClient(timeout=10) as client,
        client.stream("GET", f"{url}/s"),
    ):
        async with client.stream("GET", f"{url}/s"):
            refused = await client.get(f"{url}/s")
            assert refused.status_code == 503
            assert refused.headers["retry-after"] == "10"
            assert refused.json()["title"] == "Too many streams"
        await until(lambda: source.ended == 1)
        async with client.stream("GET", f"{url}/s") as another:
            assert another.status_code == 200


async def test_who_does_not_read_is_dropped() -> None:
    source = Source(b"data: " + b"x" * 20_000 + b"\n\n")
    async with served(source.pieces, send_within=0.2) as url:
        host, port = url.removeprefix("http://").split(":")
        with socket.socket() as deaf, capture_logs() as lines:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            deaf.connect((host, int(port)))
            deaf.sendall(b"GET /s HTTP/1.1\r\nhost: x\r\n\r\n")
            await until(lambda: source.ended == 1)
            given = source.given
            await asyncio.sleep(0.1)
            assert source.given == given, "nothing is piled up for it"
            deaf.settimeout(10)
            heard = b""
            while part := await asyncio.to_thread(deaf.recv, 65536):
                heard += part
        assert heard.startswith(b"HTTP/1.1 200")
        assert not heard.endswith(b"0\r\n\r\n"), "it can tell that this was not the end"
        assert [line["event"] for line in lines] == ["a reader was dropped: it does not read"]


async def test_who_reads_slowly_is_not() -> None:
    source = Source(b"data: " + b"x" * 20_000 + b"\n\n", count=100)
    async with (
        served(source.pieces, send_within=1.0, heartbeat=0.05) as url,
        httpx.AsyncClient(timeout=10) as client,
        client.stream("GET", f"{url}/s") as response,
    ):
        heard = 0
        async for part in response.aiter_bytes():
            heard += part.count(b"x")
            await asyncio.sleep(0.02)
            if heard == 2_000_000:
                break
    assert heard == 2_000_000


async def test_streams_end_when_the_gateway_stops() -> None:
    source, stopping = Source(count=1), asyncio.Event()
    async with httpx.AsyncClient(timeout=10) as client, served(source.pieces, stopping) as url:
        async with client.stream("GET", f"{url}/s") as response:
            heard = response.aiter_text()
            assert await anext(heard) == "data: x\n\n"
            stopping.set()
            assert [text async for text in heard] == [": the gateway stops: connect again\n\n"]
        await until(lambda: source.ended == 1)


async def test_a_server_that_stops_says_so_before_it_waits() -> None:
    source = Source(count=1)
    heard: list[str] = []

    async def listen(url: str) -> None:
        async with (
            httpx.AsyncClient(timeout=10) as client,
            client.stream("GET", f"{url}/s") as response,
        ):
            heard.extend([text async for text in response.aiter_text()])

    async with served(source.pieces) as url:
        listening = asyncio.create_task(listen(url))
        await until(lambda: source.begun)
    await listening
    assert heard[-1] == ": the gateway stops: connect again\n\n"

"""Clients that are slow on purpose, or that open more connections than there is room for.

Time is handed in: who is dropped and when does not depend on how fast this machine is.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import resource
import socket
import weakref
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from websockets.asyncio.client import connect

from app.connections import (
    MADE_FOR,
    Clients,
    Connection,
    connections_of,
    make_room,
    misfit,
)
from app.fast_hits import FastHits
from app.patience import Patience
from app.serving import beside, bind
from tests.fast_gateways import doors, request
from tests.processes import drawbridge
from tests.raw_http import connected
from tests.waiting import until

PATIENCE = Patience(head=10, body=30, reading=60)
BIG = b"x" * 5_000_000


@dataclass
class Dropped:
    """Counts what is dropped."""

    reasons: Counter[str] = field(default_factory=Counter)

    def dropped(self, reason: str) -> None:
        self.reasons[reason] += 1


@dataclass
class Server:
    """A server of this process, the clock of its connections, and what they were dropped for."""

    port: int
    clients: Clients
    clock: list[float]
    reasons: Counter[str]
    events: asyncio.Event = field(default_factory=asyncio.Event)

    def later(self, seconds: float) -> None:
        """Let time go by, and look at the connections."""
        self.clock[0] += seconds
        self.clients.look()

    async def until_dropped(self) -> None:
        """Let time go by until nobody is left: a kernel may take in a little more for a while."""

        def is_over() -> bool:
            self.later(60)
            return self.clients.count == 0

        await until(is_over)

    def connection(self) -> Any:
        """The only one there is."""
        [one] = self.clients._open
        return one


@contextlib.asynccontextmanager
async def serving(most: int = 1000, name_of: Any = str, **limits: Any) -> AsyncIterator[Server]:
    clock, dropped, events = [0.0], Dropped(), asyncio.Event()
    clients = Clients(most, PATIENCE, dropped, name_of, clock=lambda: clock[0], **limits)

    async def big(_: Request) -> Response:
        return Response(BIG)

    async def echo(request: Request) -> Response:
        return Response(await request.body())

    async def early(_: Request) -> Response:
        return PlainTextResponse("enough")

    async def told(_: Request) -> Response:
        async def pieces() -> AsyncIterator[bytes]:
            yield b"data: first\n\n"
            await events.wait()
            yield b"data: last\n\n"

        return StreamingResponse(pieces(), media_type="text/event-stream")

    async def flood(websocket: WebSocket) -> None:
        await websocket.accept()
        with contextlib.suppress(WebSocketDisconnect):
            while True:
                await websocket.send_bytes(b"x" * 100_000)

    app = Starlette(
        routes=[
            Route("/big", big),
            Route("/echo", echo, methods=["POST"]),
            Route("/early", early, methods=["POST"]),
            Route("/events", told),
            WebSocketRoute("/flood", flood),
        ]
    )
    listening = bind("127.0.0.1", 0)
    port = listening.getsockname()[1]
    async with beside(listening, app, connections_of(clients)):
        yield Server(port, clients, clock, dropped.reasons, events)


async def is_dropped(reader: asyncio.StreamReader) -> None:
    """Return when the peer is gone; what it still had to say is read."""
    async with asyncio.timeout(20):
        with contextlib.suppress(ConnectionError):
            while await reader.read(1_000_000):
                pass


@contextlib.asynccontextmanager
async def deaf(port: int, asked: bytes) -> AsyncIterator[socket.socket]:
    """A connection that asked and reads nothing."""
    with socket.socket() as peer:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        peer.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(peer, ("127.0.0.1", port))
        await loop.sock_sendall(peer, asked)
        yield peer


# Heads


@pytest.mark.parametrize("sent", [b"", b"\r\n", b"GET /ech", b"GET /echo HTTP/1.1\r\nHost: a\r\nX"])
async def test_a_head_that_does_not_come_is_not_waited_for(sent: bytes) -> None:
    async with serving() as server, connected(server.port) as peer:
        await until(lambda: server.clients.count)
        await peer.send(sent)
        await until(lambda: not sent.strip() or requests_on(server))
        server.later(0)
        for _ in range(9):
            server.later(1)
            if sent.endswith(b"X"):
                await peer.send(b"x")  # a byte now and then changes nothing
        assert server.clients.count == 1
        server.later(1)
        await is_dropped(peer.reader)
        assert server.reasons == {"head": 1}


async def test_each_request_of_a_connection_has_its_own_time() -> None:
    async with serving() as server, connected(server.port) as peer:
        for number in range(1, 5):
            await peer.send(b"POST /echo HTTP/1.1\r\nHost: a\r\n")
            await until(partial(has_begun, server, number))
            server.later(9)
            assert (await peer.ask(b"POST: x\r\nContent-Length: 0\r\n\r\n")).status == 200
        assert not server.reasons


async def test_who_rests_between_two_requests_is_left_to_keep_alive() -> None:
    async with serving() as server, connected(server.port) as peer:
        await peer.ask(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
        for _ in range(3):
            server.later(100)
        assert server.clients.count == 1


@pytest.mark.parametrize("piece", [b"X-Y: " + b"y" * 1000 + b"\r\n", b"y" * 1000])
async def test_a_head_without_an_end_is_refused(piece: bytes) -> None:
    async with serving(largest_head=20_000) as server, connected(server.port) as peer:
        await peer.send(b"GET /big HTTP/1.1\r\nHost: a\r\nX-Z: ")
        with contextlib.suppress(ConnectionError):
            for _ in range(100):
                await peer.send(piece)
        answer = await peer.answer(b"GET")
        assert answer.status == 431
        assert answer.field("content-type") == "application/problem+json"
        assert server.reasons == {"size": 1}


async def test_a_trailer_without_an_end_is_dropped() -> None:
    head = b"POST /early HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n"
    async with serving(largest_head=20_000) as server, connected(server.port) as peer:
        await peer.send(head)
        with contextlib.suppress(ConnectionError):
            for _ in range(100):
                await peer.send(b"X-Y: " + b"y" * 1000 + b"\r\n")
        await is_dropped(peer.reader)
        assert server.reasons == {"size": 1}


# Bodies


async def test_a_body_that_stands_still_is_not_waited_for_and_a_slow_one_is() -> None:
    head = b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 12\r\n\r\n"
    async with serving() as server, connected(server.port) as slow:
        await slow.send(head)
        for number in range(12):
            await until(partial(has_sent, server, number))
            server.later(29)
            await slow.send(b"x")
        assert (await slow.answer(b"POST")).body == b"x" * 12
    async with serving() as server, connected(server.port) as still:
        await still.send(head, b"x")
        await until(lambda: server.connection().body_bytes == 1)
        server.later(0)
        server.later(29)
        assert server.clients.count == 1
        server.later(1)
        await is_dropped(still.reader)
        assert server.reasons == {"body": 1}


async def test_chunks_without_a_byte_in_them_are_no_progress() -> None:
    head = b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with serving() as server, connected(server.port) as peer:
        await peer.send(head, b"5;")
        await until(lambda: server.clients._open and server.connection().cycle)
        for _ in range(4):
            await peer.send(b"x")
            server.later(10)
        await is_dropped(peer.reader)
        assert server.reasons == {"body": 1}


async def test_who_waits_to_be_told_to_go_on_owes_nothing() -> None:
    head = b"GET /events HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n"
    async with serving() as server, connected(server.port) as peer:
        await peer.send(head)
        await until(lambda: server.clients._open and server.connection().cycle)
        server.later(0)
        server.later(1000)
        assert server.clients.count == 1


async def test_a_body_that_nobody_wanted_is_not_waited_for_either() -> None:
    head = b"POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n"
    async with serving() as server, connected(server.port) as peer:
        assert (await peer.ask(head)).body == b"enough"
        await peer.send(b"x")
        await until(lambda: server.connection().body_bytes == 1)
        server.later(0)
        server.later(10)
        await is_dropped(peer.reader)


# Readers


async def test_a_deaf_reader_is_dropped_and_what_it_held_is_back() -> None:
    async with serving() as server:
        files = len(os.listdir("/proc/self/fd"))
        async with deaf(server.port, b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n"):
            await until(lambda: server.clients._open and unsent(server) > 100_000)
            held = weakref.ref(server.connection().transport)
            server.later(0)
            server.later(59)
            assert server.clients.count == 1
            await server.until_dropped()
            assert server.reasons == {"reading": 1}
            await until(lambda: gc.collect() is not None and held() is None)
        await until(lambda: len(os.listdir("/proc/self/fd")) <= files)


async def test_a_deaf_reader_that_is_being_closed_is_dropped_too() -> None:
    asked = b"GET /big HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    async with serving() as server, deaf(server.port, asked):
        await until(lambda: server.clients._open and server.connection().transport.is_closing())
        await server.until_dropped()


async def test_who_reads_slowly_but_does_read_gets_everything() -> None:
    loop = asyncio.get_running_loop()
    asked = b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n"
    async with serving() as server, deaf(server.port, asked) as slow:
        await until(lambda: server.clients._open and unsent(server) > 100_000)
        got = 0
        while got < len(BIG):
            got += len(await loop.sock_recv(slow, 50_000))
            server.later(2)
        assert server.clock[0] > 2 * PATIENCE.reading
        assert not server.reasons


async def test_a_deaf_reader_of_hits_at_the_protocol_is_dropped(tmp_path: Path) -> None:
    async with doors(tmp_path) as opened:
        opened.told.body = b'{"rows":["' + BIG + b'"]}'
        await opened.learn(request())
        before = len(opened.protocols)
        async with deaf(opened.fast, request()):
            await until(lambda: len(opened.protocols) > before)
            protocol = opened.protocols[-1]
            await until(lambda: protocol._client and protocol.flow.write_paused)
            assert protocol.cycle is None, "it was a hit"
            clients, clock = protocol._clients, [0.0]
            clients._clock = lambda: clock[0]
            while protocol in clients._open:
                clock[0] += 60
                clients.look()
                await asyncio.sleep(0.01)


async def test_a_deaf_websocket_is_dropped() -> None:
    async with serving() as server:
        url = f"ws://127.0.0.1:{server.port}/flood"
        async with connect(url, compression=None):
            await until(lambda: server.clients._open and unsent(server) > 64_000)
            assert not isinstance(server.connection(), Connection)
            await server.until_dropped()
            assert server.reasons == {"reading": 1}


async def test_a_stream_with_nothing_to_tell_stays_open() -> None:
    async with (
        serving() as server,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}", timeout=30) as client,
        client.stream("GET", "/events") as stream,
    ):
        pieces = stream.aiter_text()
        assert await anext(pieces) == "data: first\n\n"
        for _ in range(10):
            server.later(1000)
        server.events.set()
        assert await anext(pieces) == "data: last\n\n"


def has_begun(server: Server, requests: int) -> bool:
    """Whether so many requests have begun on the only connection."""
    return requests_on(server) == requests


def has_sent(server: Server, body: int) -> bool:
    """Whether so much of a body has come by the only connection."""
    return body == sum(int(one.body_bytes) for one in server.clients._open)


def requests_on(server: Server) -> int:
    """How many the only connection has begun."""
    return sum(int(one._requests) for one in server.clients._open)


def unsent(server: Server) -> int:
    """Bytes that the only connection has not got rid of."""
    size: int = server.connection().transport.get_write_buffer_size()
    return size


# Room


async def test_when_there_is_no_room_one_is_told_so_and_who_is_in_goes_on() -> None:
    async with serving(16, lambda _: None) as server, contextlib.AsyncExitStack() as stack:
        inside = [await stack.enter_async_context(connected(server.port)) for _ in range(16)]
        await until(lambda: server.clients.count == 16)
        with structlog.testing.capture_logs() as lines:
            for _ in range(3):
                async with connected(server.port) as late:
                    answer = await late.answer(b"GET")
                    assert answer.status == 503
                    assert answer.field("content-type") == "application/problem+json"
                    assert answer.field("retry-after") == "5"
        assert len(lines) == 1, "said once, not for each"
        asked = b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"
        assert [(await one.ask(asked)).body for one in inside] == [b"hi"] * 16
        assert server.reasons == {"full": 3}
    assert server.clients.count == 0


async def test_nobody_takes_the_room_of_the_others() -> None:
    names = {"127.0.0.1": "greedy", "127.0.0.2": "other"}
    async with serving(40, names.get) as server, contextlib.AsyncExitStack() as stack:
        for _ in range(20):
            await stack.enter_async_context(connected(server.port))
        await until(lambda: server.clients.count == 20)
        async with connected(server.port) as more:
            assert (await more.answer(b"GET")).status == 503
        server.later(0)
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", server.port, local_addr=("127.0.0.2", 0)
        )
        writer.write(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi")
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        writer.close()


async def test_places_are_free_again() -> None:
    async with serving(16, lambda address: address) as server:
        for _ in range(100):
            async with connected(server.port) as one:
                await one.ask(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
            await until(lambda: server.clients.count == 0)
        assert not server.reasons
        assert not +server.clients._held


@pytest.fixture
def open_files() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.usefixtures("open_files")
def test_room_is_made_for_as_many_as_the_system_allows() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(1000, hard), hard))
    assert make_room(2000) == 2000
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] >= 2000
    assert make_room(100) == 100
    with structlog.testing.capture_logs() as lines:
        assert make_room(hard) < hard
    assert lines[0]["log_level"] == "warning"


# uvicorn


def test_this_uvicorn_is_one_that_it_was_made_for() -> None:
    """Fails with a newer one: look at what changed in its ``httptools_impl.py``, run this file and
    ``test_fast_hits_same.py`` in its long form, and only then add the version to ``MADE_FOR``.
    """
    assert misfit(uvicorn.__version__, HttpToolsProtocol) is None
    assert issubclass(FastHits, HttpToolsProtocol)


def test_what_another_protocol_lacks_is_named() -> None:
    assert misfit(f"{MADE_FOR[0]}9", asyncio.Protocol) is not None
    reason = misfit(f"{MADE_FOR[0]}9", H11Protocol)
    assert reason is not None
    assert "on_message_begin" in reason


# The real program


@pytest.mark.parametrize("fast", ["true", "false"])
async def test_five_hundred_slow_clients_and_a_good_one(tmp_path: Path, fast: str) -> None:
    settings = {"REQUEST_HEAD_TIMEOUT": "2s", "FAST_HITS": fast, "RATE_LIMIT": "off"}
    with drawbridge(tmp_path, "serve", "--port", "0", settings=settings) as gateway:
        url = gateway.url()
        port = int(url.rpartition(":")[2])
        async with contextlib.AsyncExitStack() as stack, httpx.AsyncClient(base_url=url) as good:
            slow = [await stack.enter_async_context(connected(port)) for _ in range(500)]
            gone = [asyncio.create_task(is_dropped(one.reader)) for one in slow]
            begun = b"GET / HTTP/1.1\r\n"
            while not all(one.done() for one in gone):
                for one in slow:
                    one.writer.write(begun)
                begun = b"X-Slow: loris\r\n"
                assert (await good.get("/health/live")).status_code == 200
                await asyncio.sleep(0.1)
            await asyncio.gather(*gone)
            figures = (await good.get("/metrics")).text
        assert 'drawbridge_connections_dropped_total{reason="head"} 500.0' in figures

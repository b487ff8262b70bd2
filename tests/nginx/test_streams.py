"""What goes on for longer: events, downloads, uploads, WebSockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import websockets
from starlette.types import Message, Receive, Scope, Send

from tests.gateways import Told
from tests.nginx.origins import gateway, serving
from tests.real.nginx import Certificate, OpenFront

pytestmark = [pytest.mark.real("nginx"), pytest.mark.timeout(60)]


@dataclass
class Slow:
    """Sends the second piece only when the first has been read, and the end never."""

    read: asyncio.Event = field(default_factory=asyncio.Event)
    content_type: bytes = b"text/plain"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-type", self.content_type)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"first ", "more_body": True})
        await self.read.wait()
        await send({"type": "http.response.body", "body": b"second", "more_body": False})


@pytest.mark.parametrize(
    "path", ["/v1/changes/stream", "/automation/events", "/grafana/api/live", "/console/events"]
)
async def test_pieces_are_passed_on_as_they_come(front: OpenFront, path: str) -> None:
    origin = Slow()
    async with (
        serving(origin) as behind,
        front(behind) as nginx,
        nginx.client.stream("GET", path) as answer,
    ):
        pieces = answer.aiter_bytes()
        assert await anext(pieces) == b"first "
        origin.read.set()
        assert await anext(pieces) == b"second"


async def test_the_stream_of_changes_of_a_real_gateway_is_open(
    front: OpenFront, tmp_path: Path
) -> None:
    async with (
        gateway(Told(), tmp_path) as behind,
        front(behind) as nginx,
        nginx.client.stream("GET", "/v1/changes/stream") as answer,
    ):
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert await anext(answer.aiter_bytes())


async def test_an_upload_is_passed_on_as_it_comes(front: OpenFront) -> None:
    heard: asyncio.Queue[bytes] = asyncio.Queue()

    async def origin(scope: Scope, receive: Receive, send: Send) -> None:
        more = True
        while more:
            message: Message = await receive()
            if message["body"]:
                heard.put_nowait(message["body"])
            more = message["more_body"]
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def pieces() -> AsyncIterator[bytes]:
        yield b"first"
        assert await asyncio.wait_for(heard.get(), 20) == b"first"
        yield b"second"

    async with serving(origin) as behind, front(behind) as nginx:
        answer = await nginx.client.post("/files/a", content=pieces())
        assert answer.status_code == 204
        assert heard.get_nowait() == b"second"


async def test_a_web_socket_goes_through(front: OpenFront, certificate: Certificate) -> None:
    async def origin(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "websocket"
        await receive()
        await send({"type": "websocket.accept", "subprotocol": None, "headers": []})
        message = await receive()
        await send({"type": "websocket.send", "text": f"{scope['path']} {message['text']}"})
        await send({"type": "websocket.close", "code": 1000})

    async with serving(origin) as behind, front(behind) as nginx:
        url = f"wss://127.0.0.1:{nginx.https_port}/grafana/api/live/ws"
        async with websockets.connect(url, ssl=certificate.context(), proxy=None) as socket:
            await socket.send("hello")
            assert await socket.recv() == "/grafana/api/live/ws hello"


async def test_who_sends_its_request_by_the_byte_is_not_waited_for(
    front: OpenFront, tmp_path: Path
) -> None:
    async with (
        gateway(Told(), tmp_path) as behind,
        front(behind, CLIENT_SECONDS="1", CONNECTIONS="500") as nginx,
    ):
        slow = [await asyncio.open_connection("127.0.0.1", nginx.http_port) for _ in range(100)]
        for _, writer in slow:
            writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n")
        assert (await nginx.client.get("/items")).status_code == 200
        ends = await asyncio.gather(*(_end(reader) for reader, _ in slow))
        assert set(ends) <= {b"", b"HTTP/1.1 408"}
        for _, writer in slow:
            writer.close()


async def _end(reader: asyncio.StreamReader) -> bytes:
    """How the answer to half a request begins, once the connection is ended."""
    try:
        return (await asyncio.wait_for(reader.read(), 30))[:12]
    except ConnectionResetError:
        return b""

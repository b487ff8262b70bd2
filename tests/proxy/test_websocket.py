"""WebSockets through the front to a real server, with a real client."""

from __future__ import annotations

import asyncio

import pytest
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosedError, ConnectionClosedOK, InvalidStatus
from websockets.typing import Subprotocol

from tests.proxy.conftest import Fronted


class Talker:
    """Says what it hears; ``bye`` makes it leave, with a code of its own."""

    def __init__(self) -> None:
        self.headers: dict[str, str] = {}
        self.left: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "websocket"
        socket = WebSocket(scope, receive, send)
        self.headers = dict(socket.headers)
        wanted = scope["subprotocols"]
        await socket.accept(subprotocol=wanted[-1] if wanted else None)
        while (message := await socket.receive())["type"] != "websocket.disconnect":
            said = message.get("text") or message.get("bytes") or b""
            if said == "bye":
                await socket.close(4321, "so long")
                return
            await (socket.send_text(said) if isinstance(said, str) else socket.send_bytes(said))
        self.left.set_result(message["code"])


def at(base: str) -> str:
    return base.replace("http://", "ws://") + "/live?x=1"


async def test_messages_go_both_ways(fronted: Fronted) -> None:
    app = Talker()
    protocols = [Subprotocol("one"), Subprotocol("two")]
    async with fronted(app) as base:
        async with connect(
            at(base), subprotocols=protocols, additional_headers={"cookie": "a=1"}
        ) as socket:
            assert socket.subprotocol == "two"
            for said in ("hello", b"\x00\xff", "x" * 300_000):
                await socket.send(said)
                assert await socket.recv() == said
        async with asyncio.timeout(5):
            assert await app.left == 1000
    assert app.headers["cookie"] == "a=1"
    assert app.headers["x-forwarded-for"] == "10.0.0.9"


async def test_the_servers_goodbye_is_the_clients(fronted: Fronted) -> None:
    app = Talker()
    async with fronted(app) as base, connect(at(base)) as socket:
        await socket.send("bye")
        with pytest.raises((ConnectionClosedError, ConnectionClosedOK)) as closed:
            await socket.recv()
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4321, "so long")


async def test_a_client_that_is_cut_off_is_gone_for_the_server_too(fronted: Fronted) -> None:
    app = Talker()
    async with fronted(app) as base, connect(at(base)) as socket:
        await socket.send("hello")
        await socket.recv()
        socket.transport.abort()
        async with asyncio.timeout(5):
            assert await app.left == 1001


async def test_a_refusal_in_the_handshake_is_told_as_such(fronted: Fronted) -> None:
    async def closed(scope: Scope, receive: Receive, send: Send) -> None:
        socket = WebSocket(scope, receive, send)
        await socket.receive()
        await socket.send_denial_response(Response("who are you?", 401))

    async with fronted(closed) as base:
        with pytest.raises(InvalidStatus) as refused:
            await connect(at(base)).__aenter__()
    assert refused.value.response.status_code == 401

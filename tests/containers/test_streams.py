"""Streams that hold a container up while bytes move, and not when they are forgotten.

Real containers, a real server and real clients.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import httpx
import pytest
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect
from websockets.asyncio.client import connect
from websockets.protocol import State as ClientState

from app.containers.fleet import Fleet
from app.containers.gate import ContainerGate as ContainerDoor
from app.containers.idle import Keeper
from app.containers.lifecycle import State
from app.middleware.container_gate import ContainerGate
from app.serving import address, beside, bind
from tests.containers.fleets import Opened
from tests.real.engine import Workshop
from tests.waiting import until

pytestmark = pytest.mark.real("docker")

IDLE = 0.5
LABELS = {"provides": "redis", "idle-timeout": f"{IDLE}s"}


@dataclass
class Stage:
    """What the application sends next; nothing while ``pieces`` is empty."""

    pieces: asyncio.Queue[bytes] = field(default_factory=asyncio.Queue)
    sent: int = 0
    kind: str = "text/event-stream"

    async def http(self, scope: Scope, receive: Receive, send: Send) -> None:
        await StreamingResponse(self._flow(), media_type=self.kind)(scope, receive, send)

    async def _flow(self) -> AsyncIterator[bytes]:
        while piece := await self.pieces.get():
            yield piece
            self.sent += 1

    async def trickle(self, piece: bytes) -> None:
        """A piece every tenth of the idle time, until cancelled."""
        while True:
            self.pieces.put_nowait(piece)
            await asyncio.sleep(IDLE / 10)


def gated(fleet: Fleet, app: object) -> ContainerGate:
    door = ContainerDoor(fleet, "redis", within=20)
    return ContainerGate(app, {"/s": door}, silent_after=IDLE)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "piece"),
    [("text/event-stream", b"data: 1\n\n"), ("application/octet-stream", b"x" * 70_000)],
)
async def test_an_answer_in_pieces_keeps_it_up_while_pieces_come(
    workshop: Workshop, fleet_of: Opened, kind: str, piece: bytes
) -> None:
    made = workshop.container("db", labels=LABELS)
    stage = Stage(kind=kind)
    listening = bind("127.0.0.1", 0)
    async with (
        fleet_of(check_interval=0.05) as fleet,
        beside(listening, gated(fleet, stage.http)),
        httpx.AsyncClient() as client,
    ):
        flowing = asyncio.create_task(stage.trickle(piece))
        async with client.stream("GET", f"{address(listening)}/s") as response:
            heard = response.aiter_bytes()
            async with asyncio.timeout(20):
                while stage.sent < 25:
                    await anext(heard)
                    assert fleet.view("db").leases == 1
            assert stage.sent * IDLE / 10 > 2 * IDLE
            assert fleet.view("db").keeper is Keeper.LEASED
            assert workshop.count("kill", made) == 0
            flowing.cancel()
            await until(lambda: fleet.view("db").state is State.ASLEEP)
            assert workshop.count("stop", made) == 1
        stage.pieces.put_nowait(b"")


async def test_heartbeats_alone_keep_nothing_up(workshop: Workshop, fleet_of: Opened) -> None:
    workshop.container("db", labels=LABELS)
    stage = Stage()
    listening = bind("127.0.0.1", 0)
    async with (
        fleet_of(check_interval=0.05) as fleet,
        beside(listening, gated(fleet, stage.http)),
        httpx.AsyncClient() as client,
    ):
        beating = asyncio.create_task(stage.trickle(b": still here\n\n"))
        async with client.stream("GET", f"{address(listening)}/s"):
            await until(lambda: fleet.view("db").state is State.ASLEEP)
        beating.cancel()
        stage.pieces.put_nowait(b"")


async def test_a_request_without_an_answer_yet_counts_however_long_it_takes(
    workshop: Workshop, fleet_of: Opened
) -> None:
    made = workshop.container("db", labels=LABELS)
    finish = asyncio.Event()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http", "it has no lifespan"
        await finish.wait()
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    listening = bind("127.0.0.1", 0)
    async with (
        fleet_of(check_interval=0.05) as fleet,
        beside(listening, gated(fleet, slow)),
        httpx.AsyncClient(timeout=20) as client,
    ):
        asking = asyncio.create_task(client.get(f"{address(listening)}/s"))
        await until(lambda: fleet.is_ready("db"))
        await asyncio.sleep(3 * IDLE)
        assert fleet.view("db").leases == 1
        assert workshop.count("kill", made) == 0
        finish.set()
        assert (await asking).status_code == 204
        await until(lambda: fleet.view("db").state is State.ASLEEP)


@pytest.mark.parametrize("direction", ["to us", "from us"])
async def test_a_websocket_keeps_it_up_while_messages_come_from_either_side(
    workshop: Workshop, fleet_of: Opened, direction: str
) -> None:
    made = workshop.container("db", labels=LABELS)
    outwards: asyncio.Queue[bytes] = asyncio.Queue()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        socket = WebSocket(scope, receive, send)
        await socket.accept()
        if direction == "to us":
            with contextlib.suppress(WebSocketDisconnect):
                while True:
                    await socket.receive_bytes()
        else:
            while word := await outwards.get():
                await socket.send_bytes(word)

    async with fleet_of(check_interval=0.05) as fleet:
        listening = bind("127.0.0.1", 0)
        url = address(listening).replace("http", "ws") + "/s"
        async with beside(listening, gated(fleet, app)), connect(url) as client:
            for _ in range(25):
                if direction == "to us":
                    await client.send(b"x")
                else:
                    outwards.put_nowait(b"x")
                    assert await client.recv() == b"x"
                await asyncio.sleep(IDLE / 10)
                assert fleet.view("db").leases == 1
            assert workshop.count("kill", made) == 0
            await until(lambda: fleet.view("db").state is State.ASLEEP)
            assert client.state is ClientState.OPEN, "the connection itself is left alone"
            outwards.put_nowait(b"")

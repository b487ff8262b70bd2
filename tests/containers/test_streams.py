"""Streams that hold a container up while bytes move, and not when they are forgotten.

Real containers, and a real server for what uvicorn can serve; a WebSocket is spoken as ASGI.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import httpx
import pytest
from starlette.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send

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
    inwards: asyncio.Queue[Message] = asyncio.Queue()
    outwards: asyncio.Queue[bytes | None] = asyncio.Queue()
    heard: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert (await receive())["type"] == "websocket.connect"
        await send({"type": "websocket.accept"})
        if direction == "to us":
            while (await receive())["type"] != "websocket.disconnect":
                pass
        else:
            while (word := await outwards.get()) is not None:
                await send({"type": "websocket.send", "bytes": word})

    async def hear(message: Message) -> None:
        heard.append(message)

    async with fleet_of(check_interval=0.05) as fleet:
        inwards.put_nowait({"type": "websocket.connect"})
        scope = {"type": "websocket", "path": "/s", "headers": []}
        talking = asyncio.create_task(gated(fleet, app)(scope, inwards.get, hear))
        await until(lambda: heard)
        for _ in range(25):
            inwards.put_nowait({"type": "websocket.receive", "bytes": b"x"})
            outwards.put_nowait(b"x")
            await asyncio.sleep(IDLE / 10)
            assert fleet.view("db").leases == 1
        assert workshop.count("kill", made) == 0
        await until(lambda: fleet.view("db").state is State.ASLEEP)
        assert not talking.done(), "the connection itself is left alone"
        inwards.put_nowait({"type": "websocket.disconnect"})
        outwards.put_nowait(None)
        await talking

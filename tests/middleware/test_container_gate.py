"""Requests wait at the gate of what they need, and hold it open until they are done."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import pytest
from starlette.types import Message, Receive, Scope, Send

from app.containers.lifecycle import Life, State
from app.containers.member import Lease, Member
from app.containers.spec import Spec
from app.errors import ContainerFailed
from app.middleware.container_gate import ContainerGate
from tests.cache.doubles import SwitchedGate
from tests.middleware.asgi import call, echo, http_scope
from tests.waiting import until


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/storehouse", "/v1/stor"])
async def test_other_paths_pass_a_closed_gate(path: str) -> None:
    gate = SwitchedGate(is_open=False)
    heard = await call(ContainerGate(echo, {"/v1/store": gate}), http_scope(path), [b"x"])
    assert heard.body == b"x"


@pytest.mark.parametrize("path", ["/v1/store", "/v1/store/deep"])
async def test_a_request_waits_for_the_gate(path: str) -> None:
    gate = SwitchedGate(is_open=False)
    app = ContainerGate(echo, {"/v1/store": gate})
    request = asyncio.create_task(call(app, http_scope(path), [b"x"]))
    await asyncio.sleep(0)
    assert not request.done()
    gate.unlock()
    assert (await request).body == b"x"


async def test_the_lease_is_held_until_the_application_is_done() -> None:
    gate = SwitchedGate()
    held: list[int] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        held.append(gate.leases)

    await call(ContainerGate(app, {"/v1/store": gate}), http_scope("/v1/store"))
    assert (held, gate.leases) == ([1], 0)


async def test_a_gate_that_does_not_open_is_the_requests_error() -> None:
    gate = SwitchedGate(broken=True)
    with pytest.raises(ContainerFailed):
        await call(ContainerGate(echo, {"/v1/store": gate}), http_scope("/v1/store"))


class LeasedGate:
    """A gate that gives real leases, on a container that is nobody's."""

    def __init__(self) -> None:
        self.member = Member(Spec("db", "db"), "id", "image", Life(State.AWAKE, since=0.0))

    async def open(self) -> Lease:
        return Lease(self.member, lambda _: None, time.monotonic)


async def forgotten(
    gate: LeasedGate, messages: Sequence[Message], scope: Scope | None = None
) -> int:
    """How many leases count once the application has sent ``messages`` and nothing moves."""
    counted = asyncio.get_running_loop().create_future()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for message in messages:
            await send(message)
        await asyncio.sleep(0.05)
        counted.set_result(gate.member.leases)

    layer = ContainerGate(app, {"/v1/store": gate}, silent_after=0.01)
    await call(layer, scope or http_scope("/v1/store"))
    assert gate.member.leases == 0
    return int(counted.result())


def begins(kind: bytes) -> Message:
    headers = [(b"content-type", kind)]
    return {"type": "http.response.start", "status": 200, "headers": headers}


def piece(body: bytes, *, more: bool = True) -> Message:
    return {"type": "http.response.body", "body": body, "more_body": more}


JSON, EVENTS = begins(b"application/json"), begins(b"text/event-stream; charset=utf-8")
WEBSOCKET: Scope = {"type": "websocket", "path": "/v1/store", "headers": []}


@pytest.mark.parametrize(
    ("messages", "counts"),
    [
        ([], True),
        ([JSON], True),
        ([JSON, piece(b"")], True),
        ([JSON, piece(b"{}", more=False)], True),
        ([JSON, piece(b"{")], False),
        ([EVENTS], False),
        ([EVENTS, piece(b": hello\n\n")], False),
    ],
)
async def test_an_answer_that_has_begun_counts_while_bytes_move(
    messages: Sequence[Message], counts: bool
) -> None:
    assert await forgotten(LeasedGate(), messages) == counts


async def test_a_websocket_counts_until_it_is_accepted_and_then_while_it_speaks() -> None:
    assert await forgotten(LeasedGate(), [], WEBSOCKET) == 1
    assert await forgotten(LeasedGate(), [{"type": "websocket.accept"}], WEBSOCKET) == 0


@pytest.mark.parametrize(
    ("begin", "body", "counts"),
    [
        (EVENTS, b": still here\n\n", False),
        (EVENTS, b": still here\n\ndata: 1\n\n", True),
        (EVENTS, b"retry: 3000\nid: 5-1\n\n", False),
        (EVENTS, b"id: 5-1\ndata: 1\n\n", True),
        (JSON, b": no comment", True),
    ],
)
async def test_a_heartbeat_moves_nothing(begin: Message, body: bytes, counts: bool) -> None:
    gate = LeasedGate()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(begin)
        await send(piece(b"data: first\n\n"))
        for _ in range(10):
            await asyncio.sleep(0.01)
            await send(piece(body))
        assert gate.member.leases == counts

    await call(ContainerGate(app, {"/v1/store": gate}, silent_after=0.05), http_scope("/v1/store"))


async def test_what_a_client_sends_counts_too() -> None:
    gate = LeasedGate()
    inwards: asyncio.Queue[Message] = asyncio.Queue()
    counts: list[int] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.accept"})
        while (await receive())["type"] == "websocket.receive":
            counts.append(gate.member.leases)

    async def send(message: Message) -> None:
        pass

    layer = ContainerGate(app, {"/v1/store": gate}, silent_after=0.02)
    talking = asyncio.create_task(layer(WEBSOCKET, inwards.get, send))
    await until(lambda: gate.member.leases == 1)
    await until(lambda: gate.member.leases == 0)
    inwards.put_nowait({"type": "websocket.receive", "text": "I am back"})
    inwards.put_nowait({"type": "websocket.disconnect"})
    await talking
    assert counts == [1]

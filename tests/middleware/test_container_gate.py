"""Requests wait at the gate of what they need, and hold it open until they are done."""

from __future__ import annotations

import asyncio

import pytest
from starlette.types import Receive, Scope, Send

from app.errors import ContainerFailed
from app.middleware.container_gate import ContainerGate
from tests.cache.doubles import SwitchedGate
from tests.middleware.asgi import call, echo, http_scope


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

"""Sockets and servers; ends by signal are in ``test_cli.py``, with real processes."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from typing import Any

import httpx
import pytest
import uvloop
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from app import serving
from app.errors import SettingsError
from app.serving import address, beside, bind
from tests.middleware.asgi import echo
from tests.waiting import until


def test_port_zero_takes_a_free_one() -> None:
    with bind("127.0.0.1", 0) as one, bind("127.0.0.1", 0) as other:
        assert one.getsockname()[1] != other.getsockname()[1]
        assert address(one) == f"http://127.0.0.1:{one.getsockname()[1]}"


def test_addresses_of_version_six_are_bracketed() -> None:
    if not socket.has_ipv6:
        pytest.skip("this machine has no IPv6")
    with bind("::1", 0) as listening:
        assert address(listening).startswith("http://[::1]:")


@pytest.mark.parametrize("host", ["192.0.2.1", "no.such.host.invalid"])
def test_an_address_that_is_not_ours_is_refused_with_what_to_do(host: str) -> None:
    with pytest.raises(SettingsError, match="Cannot listen on") as refused:
        bind(host, 8000)
    assert "--port" in refused.value.problems[0]


def test_a_port_that_is_taken_is_refused() -> None:
    with bind("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SettingsError, match=f":{port}"):
            bind("127.0.0.1", port)


async def test_a_server_beside_is_ready_in_the_block_and_gone_after_it() -> None:
    listening = bind("127.0.0.1", 0)
    url = address(listening)
    async with beside(listening, echo), httpx.AsyncClient() as client:
        response = await client.post(url, content=b"hello")
        assert response.content == b"hello"
        assert "server" not in response.headers
    async with httpx.AsyncClient() as client:
        with pytest.raises(httpx.ConnectError):
            await client.get(url)


async def test_requests_without_an_end_are_told_when_the_server_stops() -> None:
    stopping = asyncio.Event()

    async def endless(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http", "it has no lifespan"
        await stopping.wait()
        await PlainTextResponse("the end")(scope, receive, send)

    listening = bind("127.0.0.1", 0)
    async with httpx.AsyncClient() as client:
        async with beside(listening, endless, on_stop=stopping.set):
            asking = asyncio.create_task(client.get(address(listening)))
            await asyncio.sleep(0.1)
            assert not asking.done()
        assert (await asking).text == "the end"


async def test_nobody_is_believed_about_who_the_client_is() -> None:
    async def tell(scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse(scope["client"][0])(scope, receive, send)

    listening = bind("127.0.0.1", 0)
    async with beside(listening, tell), httpx.AsyncClient() as client:
        said = await client.get(address(listening), headers={"x-forwarded-for": "1.1.1.1"})
    assert said.text == "127.0.0.1"


def handles(listening: os.stat_result) -> int:
    """How many descriptors this process has of a socket."""
    count = 0
    for descriptor in map(int, os.listdir("/proc/self/fd")):
        try:
            count += os.path.samestat(os.fstat(descriptor), listening)
        except OSError:
            continue  # it was the one that the list was read by
    return count


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_a_server_that_stopped_leaves_its_port_and_no_handle(run: Callable[..., None]) -> None:
    async def serve_and_stop() -> None:
        listening = bind("127.0.0.1", 0)
        port, status = listening.getsockname()[1], os.fstat(listening.fileno())
        async with beside(listening, echo), httpx.AsyncClient() as client:
            assert (await client.post(address(listening), content=b"hello")).content == b"hello"
            assert handles(status) > 1
        assert handles(status) == 0
        bind("127.0.0.1", port).close()

    run(serve_and_stop())


async def test_who_begins_to_listen_does_not_block_others_at_the_same_socket() -> None:
    listening = bind("127.0.0.1", 0)
    async with beside(listening, echo):
        # As a worker has it that is begun later.
        same = socket.socket(fileno=os.dup(listening.fileno()))
        for handle in serving._handles(same):
            assert not os.get_blocking(listening.fileno())
            handle.close()


def test_a_turn_of_the_loop_takes_more_connections_than_one() -> None:
    turns, made, lost = 0, list[int](), list[int]()

    class Counted(asyncio.Protocol):
        def __init__(self, **_: Any) -> None:
            """Without what uvicorn's own has to know."""

        def connection_made(self, _: asyncio.BaseTransport) -> None:
            made.append(turns)

        def connection_lost(self, _: Exception | None) -> None:
            lost.append(turns)

    async def connect_at_once() -> None:
        def turn() -> None:
            nonlocal turns
            turns += 1
            if len(made) < 64:
                loop.call_soon(turn)

        loop, listening = asyncio.get_running_loop(), bind("127.0.0.1", 0)
        async with beside(listening, echo, Counted):
            clients = [socket.create_connection(listening.getsockname()) for _ in range(64)]
            turn()
            await until(lambda: len(made) == 64)
            for client in clients:
                client.close()
            await until(lambda: len(lost) == 64)

    # That loop alone takes one at a time.
    uvloop.run(connect_at_once())
    assert made[-1] - made[0] < 32

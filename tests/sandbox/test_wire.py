"""Faults on a real wire: what a client sees of them, over a socket and a real server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from app.sandbox.faults import Fault, Misbehaviour
from app.sandbox.options import SandboxOptions
from app.sandbox.wire import wait_until_gone
from tests.sandbox.serving import serving


@pytest.fixture
async def base_url() -> AsyncIterator[str]:
    async with serving(SandboxOptions(players=100, seed=2)) as url:
        yield url


@pytest.fixture
async def client(base_url: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=base_url, timeout=20.0) as client:
        yield client


async def fault(client: httpx.AsyncClient, **fields: Any) -> None:
    response = await client.put("/__sandbox__/faults", json={"path": "/players", **fields})
    assert response.status_code == 200, response.text


async def raw(client: httpx.AsyncClient, target: str) -> tuple[bytes, bytes]:
    """Head and body of an answer, as they came until the connection was closed."""
    url = client.base_url
    reader, writer = await asyncio.open_connection(url.host, url.port)
    writer.write(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    async with asyncio.timeout(10):
        received = await reader.read()
    writer.close()
    await writer.wait_closed()
    head, _, body = received.partition(b"\r\n\r\n")
    return head, body


async def test_an_answer_that_is_cut_off(client: httpx.AsyncClient) -> None:
    await fault(client, answer="truncate")
    head, body = await raw(client, "/players?numToFetch=2")
    [length] = [line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")]
    assert head.startswith(b"HTTP/1.1 200")
    assert 0 < len(body) < int(length.split(b":")[1])
    with pytest.raises(httpx.RemoteProtocolError):
        await client.get("/players?numToFetch=2")
    assert (await client.get("/items?numToFetch=1")).status_code == 200


async def test_an_answer_that_never_ends(client: httpx.AsyncClient) -> None:
    await fault(client, answer="endless")
    size = 0
    async with client.stream("GET", "/players") as response:
        assert response.status_code == 200
        assert "content-length" not in response.headers
        async for chunk in response.aiter_bytes():
            if size == 0:
                assert chunk.startswith(b'{"players":[')
            size += len(chunk)
            if size > 3_000_000:
                break
    await quiet(client)


async def test_an_answer_that_never_begins(client: httpx.AsyncClient) -> None:
    await fault(client, answer="hang")
    with pytest.raises(httpx.ReadTimeout):
        await client.get("/players", timeout=0.2)
    await quiet(client)


async def quiet(client: httpx.AsyncClient) -> None:
    """Wait until the sandbox has noticed that nobody listens any more."""
    async with asyncio.timeout(10):
        while (await client.get("/__sandbox__/counts")).json()["in_flight"]:
            await asyncio.sleep(0.02)


async def test_an_answer_that_is_late(client: httpx.AsyncClient) -> None:
    await fault(client, latency="300ms", jitter="10ms", next=1)
    with pytest.raises(httpx.ReadTimeout):
        await client.get("/players?numToFetch=1", timeout=0.1)
    assert (await client.get("/players?numToFetch=1", timeout=5)).status_code == 200
    await quiet(client)


async def test_many_at_once_are_seen_at_once(client: httpx.AsyncClient) -> None:
    await client.delete("/__sandbox__/counts")
    await fault(client, latency="50ms")
    answers = await asyncio.gather(*(client.get("/players?numToFetch=1") for _ in range(6)))
    assert {answer.status_code for answer in answers} == {200}
    counts = (await client.get("/__sandbox__/counts")).json()
    assert counts["most_in_flight"] > 1
    assert counts["targets"] == {"/players?numToFetch=1": 6}


async def test_head_has_no_body(client: httpx.AsyncClient) -> None:
    response = await client.head("/players?numToFetch=1")
    assert response.status_code == 200
    assert int(response.headers["content-length"]) > 0
    assert response.content == b""


async def test_a_page_of_html_with_status_200(client: httpx.AsyncClient) -> None:
    await fault(client, answer="html")
    response = await client.get("/players")
    assert response.status_code == 200
    assert response.text.startswith("<!doctype html>")


async def test_a_server_that_hangs_can_be_stopped() -> None:
    options = SandboxOptions(players=10, faults=(Fault(answer=Misbehaviour.HANG),))
    async with serving(options) as url, httpx.AsyncClient(base_url=url) as client:
        asked = asyncio.create_task(client.get("/players", timeout=30))
        while not (await client.get("/__sandbox__/counts")).json()["in_flight"]:
            await asyncio.sleep(0.01)
    with pytest.raises(httpx.HTTPError):
        await asked


async def test_nobody_waits_for_ever() -> None:
    never = asyncio.Event()

    async def receive() -> dict[str, Any]:
        await never.wait()
        return {}

    async with asyncio.timeout(5):
        await wait_until_gone(receive, longest=0.01)

"""A running gateway as the command line sees it, over a real socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from app.remote import GatewayError, RemoteGateway
from tests.gateways import Told, gateway_on, upstream_of


@pytest.fixture
async def url(tmp_path: Path) -> AsyncIterator[str]:
    async with upstream_of(Told()) as upstream, gateway_on(upstream, tmp_path) as client:
        yield str(client.base_url)


async def test_it_lists_containers_and_reads_pages(url: str) -> None:
    gateway = RemoteGateway(url)
    assert await asyncio.to_thread(gateway.containers) == []
    assert (await asyncio.to_thread(gateway.report))["containers"] == []
    health = await asyncio.to_thread(gateway.get, "/health")
    assert health["status"] == "ok"


async def test_a_no_is_told_in_the_gateways_words(url: str) -> None:
    with pytest.raises(GatewayError, match="No such container") as told:
        await asyncio.to_thread(RemoteGateway(url).act, "nobody", "sleep")
    assert "404" in str(told.value)


async def test_events_begin_with_what_is_there(url: str) -> None:
    async with httpx.AsyncClient() as client, client.stream("GET", f"{url}/automation/events") as s:
        assert s.headers["content-type"].startswith("text/event-stream")
        assert (await anext(s.aiter_lines())).startswith(":")


@pytest.mark.parametrize("base", ["nonsense", "ftp://x", "http://"])
def test_what_is_no_address_is_refused(base: str) -> None:
    with pytest.raises(GatewayError, match="not a URL"):
        RemoteGateway(base)


def test_no_gateway_is_said_so() -> None:
    with pytest.raises(GatewayError, match="No gateway answers"):
        RemoteGateway("http://127.0.0.1:9").containers()


async def test_an_answer_that_is_no_json_is_said_so() -> None:
    async with upstream_of(Told(body=b"<html>", content_type="text/html")) as url:
        with pytest.raises(GatewayError, match="not JSON"):
            await asyncio.to_thread(RemoteGateway(url).get, "/health")


async def test_a_no_that_is_no_problem_is_told_by_its_status() -> None:
    async with upstream_of(Told(status=502, body=b"<html>")) as url:
        with pytest.raises(GatewayError, match="502"):
            await asyncio.to_thread(RemoteGateway(url).get, "/health")

"""The peers send the same bytes: else nothing would be compared."""

from __future__ import annotations

import httpx
import orjson
import pytest

from benchmarks.peers import PATH, PEERS, document


@pytest.mark.parametrize("size", [1_000, 130_000])
async def test_every_peer_sends_the_same_bytes(size: int) -> None:
    payload = orjson.dumps(document(size))
    for name, make in PEERS.items():
        transport = httpx.ASGITransport(make(size))
        async with httpx.AsyncClient(transport=transport, base_url="http://peer") as client:
            answer = await client.get(PATH)
        assert answer.content == payload, name
        assert answer.headers["content-type"] == "application/json", name


@pytest.mark.parametrize("size", [1_000, 130_000])
def test_a_document_is_as_large_as_was_asked(size: int) -> None:
    assert size <= len(orjson.dumps(document(size))) < size + 150

"""What we add to the upstream."""

from __future__ import annotations

import httpx


async def test_the_operations_are_listed(client: httpx.AsyncClient) -> None:
    operations = (await client.get("/v1/operations")).json()["operations"]
    assert len(operations) == 71
    players = next(one for one in operations if one["name"] == "players")
    assert players["freshness"] == "live"
    assert "numToSkip" in {one["name"] for one in players["parameters"]}


async def test_the_store_tells_how_much_it_holds(client: httpx.AsyncClient) -> None:
    for number in range(5):
        await client.get(f"/items/{number}")

    async def waiting() -> int:
        health = (await client.get("/health")).json()
        return int(health["cache"]["store"]["waiting_writes"])

    while await waiting():
        pass
    store = (await client.get("/v1/store")).json()
    assert store == {"kind": "sqlite", "entries": 5, "bytes": 5 * len(b'{"rows":[]}')}

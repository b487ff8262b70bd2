"""Change the base URL, nothing else: each operation asked of the kingdom and of the gateway."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.kingdom.catalogue import OPERATIONS
from app.kingdom.operation import Operation
from app.sandbox.app import create_sandbox
from app.sandbox.options import SandboxOptions
from app.serving import address, beside, bind
from tests.gateways import gateway_on

NOON = 1_790_000_000.0
"""Time stands still, so that asking twice gives the same bytes."""
QUERIES = {
    "players": ["numToFetch=7&orderBy=totalXP&orderDirection=desc", "tokenIds=200001,200002"],
    "clans": ["simplified=true", "name=e&numToFetch=3", "tierIds[]=1&tierIds[]=2"],
    "items": ["tokenIds_ge=1&tokenIds_le=50", "tokenIds_ge=1", "numToFetch=5&numToSkip=3"],
    "orders": ["side=sell&minAmountRemaining=1&numToFetch=4", "side=sideways"],
    "price-levels": ["tokenId=10496", "tokenId=10496&side=buy"],
    "players-by-id": ["unknown=1"],
    "activities": ["simplified=true&numToFetch=3"],
    "donations": ["useUsers=true&orderBy=amount&orderDirection=desc&numToFetch=3"],
}
"""Besides no parameters at all; wrong ones too, since the upstream's no is mirrored as well."""


@pytest.fixture
async def kingdom() -> AsyncIterator[httpx.AsyncClient]:
    listening = bind("127.0.0.1", 0)
    sandbox = create_sandbox(SandboxOptions(players=200, seed=3, clock=lambda: NOON))
    async with (
        beside(listening, sandbox),
        httpx.AsyncClient(base_url=address(listening), timeout=30) as client,
    ):
        yield client


@pytest.fixture
async def gateway(kingdom: httpx.AsyncClient, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with gateway_on(str(kingdom.base_url), tmp_path) as client:
        yield client


async def inhabitants(kingdom: httpx.AsyncClient) -> dict[str, str]:
    """Values for the paths' parameters that somebody in the kingdom has."""
    (hero,) = (await kingdom.get("/players?numToFetch=1")).json()["players"]
    return {
        "userAddress": hero["owner"],
        "address": hero["owner"],
        "playerId": hero["id"],
        "skill": "2",
        "actionId": "1000",
        "tokenId": "10496",
    }


async def path_of(operation: Operation, kingdom: httpx.AsyncClient, values: dict[str, str]) -> str:
    path = operation.path
    for name in operation.path_parameters:
        value = values.get(name) or await first_id(path, kingdom)
        path = path.replace(f"{{{name}}}", value)
    return path


async def first_id(path: str, kingdom: httpx.AsyncClient) -> str:
    """The id of the first row of the list beside a by-id operation."""
    rows = await kingdom.get(path.replace("/{id}", "?numToFetch=1"))
    if rows.status_code != 200:
        return "30000" if path.startswith("/clans") else "1"
    listed: list[dict[str, Any]] = next(iter(rows.json().values()))
    return str(listed[0].get("tokenId", listed[0]["id"])) if listed else "1"


async def test_every_operation_gives_the_same_through_the_gate(
    kingdom: httpx.AsyncClient, gateway: httpx.AsyncClient
) -> None:
    values = await inhabitants(kingdom)
    statuses: dict[int, int] = {}
    for operation in OPERATIONS:
        path = await path_of(operation, kingdom, values)
        body = None
        if operation.body is not None:
            someone = "userAddress" if operation.body.kind == "address" else "playerId"
            body = {operation.body.name: [values[someone]]}
        for query in ["", *QUERIES.get(operation.name, [])]:
            url = f"{path}?{query}" if query else path
            bracketed = url.replace("tokenIds=", "tokenIds[]=").replace(",", "&tokenIds[]=")
            true = await kingdom.request(operation.method, bracketed, json=body)
            for _ in range(2):
                ours = await gateway.request(operation.method, url, json=body)
                assert ours.content == true.content, url
                assert ours.status_code == true.status_code, url
                assert ours.headers["content-type"] == true.headers["content-type"]
            statuses[true.status_code] = statuses.get(true.status_code, 0) + 1
    assert set(statuses) == {200, 404, 422}
    assert statuses[200] > 75

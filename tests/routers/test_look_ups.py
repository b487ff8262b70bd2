"""Look-ups of many ids through a whole gateway, in front of a sandbox that takes 500 at once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from app.sandbox.app import create_sandbox
from app.sandbox.options import SandboxOptions
from app.serving import address, beside, bind
from tests.cache.lookups import NOW, KingdomUpstream, look_up
from tests.gateways import gateway_on


@dataclass
class Scene:
    """A client of the gateway, one of the sandbox, and the kingdom without any bound."""

    gateway: httpx.AsyncClient
    sandbox: httpx.AsyncClient
    kingdom: KingdomUpstream

    async def calls(self) -> int:
        """How often the sandbox was asked since the last time."""
        counts = await self.sandbox.get("/__sandbox__/counts")
        await self.sandbox.delete("/__sandbox__/counts")
        return int(counts.json()["total"])


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    options = SandboxOptions(players=2500, seed=7, clock=lambda: NOW)
    sandbox = create_sandbox(options)
    listening = bind("127.0.0.1", 0)
    url = address(listening)
    async with (
        beside(listening, sandbox),
        gateway_on(url, tmp_path) as gateway,
        httpx.AsyncClient(base_url=url) as control,
    ):
        yield Scene(gateway, control, KingdomUpstream(sandbox._kingdom))


def owners(scene: Scene, first: int, count: int) -> list[str]:
    heroes = scene.kingdom.kingdom.heroes
    return [heroes.address(wallet) for wallet in range(first, first + count)]


async def test_1700_ids_are_four_calls_and_the_answer_to_the_whole(scene: Scene) -> None:
    ids = [*owners(scene, 0, 500), *(f"0x{number:040x}" for number in range(1200))]
    body: dict[str, Any] = {"owners": ids}
    refused = await scene.sandbox.post("/players/multi", content=orjson.dumps(body))
    assert refused.status_code == 422
    await scene.calls()
    answer = await scene.gateway.post("/players/multi?simplified=true", json=body)
    assert answer.status_code == 200
    assert await scene.calls() == 4
    key = look_up("/players/multi", "simplified=true", body)
    assert answer.content == scene.kingdom.whole(key)
    again = await scene.gateway.post("/players/multi?simplified=true", json=body)
    assert again.headers["cache-status"].startswith("drawbridge; hit")
    assert await scene.calls() == 0


async def test_known_ids_are_not_asked_for_again(scene: Scene) -> None:
    first, more = owners(scene, 0, 300), owners(scene, 200, 300)
    await scene.gateway.post("/players/multi?simplified=true", json={"owners": first})
    await scene.calls()
    body = {"owners": more}
    answer = await scene.gateway.post("/players/multi?simplified=true", json=body)
    assert answer.content == scene.kingdom.whole(look_up("/players/multi", "simplified=true", body))
    assert await scene.calls() == 1
    within = {"owners": owners(scene, 100, 350)}
    await scene.gateway.post("/players/multi?simplified=true", json=within)
    assert await scene.calls() == 0


async def test_2000_ids_fit_into_a_query(scene: Scene) -> None:
    query = "simplified=true&tokenIds=" + ",".join(str(200_000 + n) for n in range(2000))
    answer = await scene.gateway.get(f"/players?{query}")
    assert answer.status_code == 200
    assert answer.content == scene.kingdom.whole(look_up("/players", query))
    assert len(answer.json()["players"]) == 1000
    assert await scene.calls() == 5


async def test_2000_addresses_fit_into_a_body(scene: Scene) -> None:
    body = {"userAddresses": [f"0x{number:040x}" for number in range(1990)]}
    body["userAddresses"] += owners(scene, 0, 10)
    answer = await scene.gateway.post("/user-item-nfts/multi", json=body)
    assert answer.content == scene.kingdom.whole(look_up("/user-item-nfts/multi", "", body))
    assert await scene.calls() == 4


async def test_a_purge_lets_all_be_asked_again(scene: Scene) -> None:
    body = {"owners": owners(scene, 0, 600)}
    path = "/players/multi?simplified=true"
    await scene.gateway.post(path, json=body)
    await scene.calls()
    purged = await scene.gateway.post("/cache/purge", json={"tag": "players", "mode": "hard"})
    assert purged.status_code < 300, purged.text
    await scene.gateway.post(path, json=body)
    assert await scene.calls() == 2

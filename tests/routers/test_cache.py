"""Purges by an operator, over HTTP and from the command line."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from app.remote import GatewayError, RemoteGateway
from tests.gateways import Told


async def status_of(client: httpx.AsyncClient, path: str) -> str:
    return str((await client.get(path)).headers["cache-status"])


@pytest.mark.parametrize(
    "wanted",
    [
        {"url": "/players/?numToSkip=0&name=ada&x=1"},
        {"tag": "Players"},
        {"tag": "live"},
        {"prefix": "/players"},
        {"all": True},
    ],
)
async def test_what_is_purged_is_stale_and_refreshed(
    wanted: dict[str, Any], client: httpx.AsyncClient, told: Told
) -> None:
    await client.get("/players?name=ada")
    await client.get("/clans")
    done = await client.post("/cache/purge", json=wanted)
    assert done.status_code == 200
    assert done.json()["mode"] == "soft"
    stale = await client.get("/players?name=ada")
    assert stale.headers["cache-status"] == "drawbridge; hit; ttl=0; detail=memory"
    if "all" not in wanted:
        assert "ttl=0" not in await status_of(client, "/clans")
    while told.asked.count("GET /players?name=ada") < 2:
        await asyncio.sleep(0.01)


async def test_a_hard_purge_is_fetched_anew_at_once(client: httpx.AsyncClient, told: Told) -> None:
    await client.get("/players")
    told.body = b'{"players":[1]}'
    await client.post("/cache/purge", json={"all": True, "mode": "hard"})
    assert (await client.get("/players")).content == told.body


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        ({}, "exactly one"),
        ({"all": True, "tag": "players"}, "exactly one"),
        ({"tag": "dragons"}, "dragons"),
        ({"url": "/playrs"}, "did you mean /players?"),
        ({"url": "/players/multi/x"}, "No GET operation"),
        ({"prefix": "players"}, "pattern"),
        ({"all": True, "mode": "rough"}, "mode"),
        ({"everything": True}, "everything"),
    ],
)
async def test_what_makes_no_sense_is_refused(
    wanted: dict[str, Any], says: str, client: httpx.AsyncClient
) -> None:
    refused = await client.post("/cache/purge", json=wanted)
    assert refused.status_code == 422
    assert refused.headers["content-type"] == "application/problem+json"
    assert says in refused.json()["detail"]


async def test_only_operators_may(client: httpx.AsyncClient) -> None:
    refused = await client.post(
        "/cache/purge", json={"all": True}, headers={"origin": "https://elsewhere.example"}
    )
    assert refused.status_code == 403


async def test_the_command_line_asks_the_same_way(client: httpx.AsyncClient) -> None:
    gateway = RemoteGateway(str(client.base_url))
    done = await asyncio.to_thread(gateway.purge, {"tag": "players"})
    assert (done["purged"], done["what"]) == ("tag", "players")
    with pytest.raises(GatewayError, match="dragons"):
        await asyncio.to_thread(gateway.purge, {"tag": "dragons"})


async def test_what_was_warmed_is_there(client: httpx.AsyncClient, told: Told) -> None:
    wanted = {"paths": ["/players?name=ada", "/clans", "/players/?name=ada&numToSkip=0"]}
    done = (await client.post("/cache/warm", json=wanted)).json()["warmed"]
    assert [one["path"] for one in done] == wanted["paths"]
    assert {(one["status"], one["bytes"]) for one in done} == {(200, len(b'{"rows":[]}'))}
    asked = len(told.asked)
    assert asked == 2
    assert (await status_of(client, "/clans")).startswith("drawbridge; hit")
    assert len(told.asked) == asked


async def test_all_game_definitions_are_warmed_and_a_failure_is_told(
    client: httpx.AsyncClient, told: Told
) -> None:
    told.status = 503
    done = (await client.post("/cache/warm", json={})).json()["warmed"]
    assert {"/items", "/quests"} & {one["path"] for one in done}
    assert all("error" in one for one in done)


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        ({"paths": ["/playrs"]}, "did you mean /players?"),
        ({"paths": ["players"]}, "pattern"),
        ({"paths": ["/clans"] * 501}, "500"),
        ({"path": "/clans"}, "path"),
    ],
)
async def test_what_cannot_be_warmed_is_refused(
    wanted: dict[str, Any], says: str, client: httpx.AsyncClient, told: Told
) -> None:
    refused = await client.post("/cache/warm", json=wanted)
    assert refused.status_code == 422
    assert says in refused.json()["detail"]
    assert told.asked == []


async def test_stats_tell_what_is_where(client: httpx.AsyncClient) -> None:
    await client.get("/clans")
    await client.post("/cache/purge", json={"tag": "players"})
    stats = (await client.get("/cache/stats")).json()
    assert stats["memory"]["entries"] == 1
    assert stats["store"]["kind"] == "sqlite"
    assert stats["purges"] == 1
    assert set(stats["writes"]) == {"waiting", "dropped"}

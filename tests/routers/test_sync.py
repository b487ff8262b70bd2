"""The jobs over HTTP: a gateway on a whole kingdom, which brings it in by itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.sandbox.options import SandboxOptions
from app.sync.job import JOBS
from tests.gateways import gateway_on
from tests.real.redis import RedisServer, redis_process, redis_server
from tests.sandbox.serving import serving

__all__ = ["redis_process", "redis_server"]
WITHIN = 60.0


@pytest.fixture
async def kingdom() -> AsyncIterator[str]:
    async with serving(SandboxOptions(players=150)) as url:
        yield url


@pytest.fixture
async def gateway(kingdom: str, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with gateway_on(kingdom, tmp_path, sync_enabled=True, sync_pace=0.0) as client:
        yield client


async def once_all_were_run(client: httpx.AsyncClient) -> dict[str, Any]:
    """What ``GET /sync`` tells when every job has brought something."""
    async with asyncio.timeout(WITHIN):
        while True:
            told: dict[str, Any] = (await client.get("/sync")).json()
            if all(one["last_good"] for one in told["jobs"]) and told["running"] is None:
                return told
            await asyncio.sleep(0.05)


async def test_the_kingdom_is_brought_in_and_answered_from(
    gateway: httpx.AsyncClient, kingdom: str
) -> None:
    told = await once_all_were_run(gateway)
    assert [one["job"] for one in told["jobs"]] == list(JOBS)
    assert not any(one["error"] or one["held"] for one in told["jobs"])
    async with asyncio.timeout(WITHIN):
        while "items" not in (await gateway.get("/sync")).json()["collections"]:
            await asyncio.sleep(0.05)
    ours = await gateway.get("/items?numToFetch=5&numToSkip=2")
    async with httpx.AsyncClient(base_url=kingdom) as direct:
        theirs = await direct.get("/items?numToFetch=5&numToSkip=2")
    assert ours.headers["cache-status"].endswith("detail=records")
    assert ours.json() == theirs.json()
    health = (await gateway.get("/health")).json()
    assert set(health["sync"]["ages"]) == set(JOBS)
    assert health["sync"]["failing"] == {}
    assert health["status"] == "ok"
    changes = (await gateway.get("/v1/changes?limit=1")).json()["changes"]
    assert [one["happened"] for one in changes] == ["added"]
    metrics = (await gateway.get("/metrics")).text
    assert 'drawbridge_sync_runs_total{job="items",outcome="good"} 1.0' in metrics
    assert 'drawbridge_sync_age_seconds{job="items"}' in metrics
    assert 'drawbridge_changes_total{kind="items"}' in metrics


async def test_a_job_is_run_when_an_operator_wants_it(gateway: httpx.AsyncClient) -> None:
    await once_all_were_run(gateway)
    ran = await gateway.post("/sync/clans", json={"confirm": True})
    assert ran.status_code == 200
    told = ran.json()
    assert (told["job"], told["collections"]) == ("clans", ["clans", "territories"])
    assert told["rows"] > 0
    assert told["error"] is None
    assert told["last_good"] <= told["next"]


async def test_what_makes_no_sense_is_refused(gateway: httpx.AsyncClient) -> None:
    unknown = await gateway.post("/sync/clan")
    assert unknown.status_code == 404
    assert "there are definitions, items" in unknown.json()["detail"]
    assert (await gateway.post("/sync/clans", json={"force": 1})).status_code == 422


async def test_only_operators_may(gateway: httpx.AsyncClient) -> None:
    elsewhere = {"x-forwarded-for": "203.0.113.9"}
    assert (await gateway.get("/sync", headers=elsewhere)).status_code == 403
    assert (await gateway.post("/sync/clans", headers=elsewhere)).status_code == 403


async def test_a_gateway_without_jobs_says_so(kingdom: str, tmp_path: Path) -> None:
    async with gateway_on(kingdom, tmp_path, sync_enabled=False) as client:
        refused = await client.get("/sync")
        assert (refused.status_code, refused.json()["title"]) == (409, "Jobs are not run here")
        assert (await client.get("/health")).json()["sync"]["enabled"] is False


async def test_what_fails_for_long_is_not_well(kingdom: str, tmp_path: Path) -> None:
    async with (
        httpx.AsyncClient(base_url=kingdom) as sandbox,
        gateway_on(kingdom, tmp_path, sync_enabled=True, sync_pace=0.0) as client,
    ):
        await once_all_were_run(client)
        await sandbox.put("/__sandbox__/faults", json={"answer": "empty", "path": "/territories"})
        for _ in range(3):
            await client.post("/sync/clans")
        health = (await client.get("/health")).json()
    assert health["status"] == "degraded"
    assert "territories" in health["sync"]["failing"]["clans"]


@pytest.mark.real("redis")
async def test_where_workers_run_jobs_one_is_told(
    kingdom: str, tmp_path: Path, redis_server: RedisServer
) -> None:
    settings = {"sync_enabled": True, "celery_broker_url": redis_server.url}
    async with gateway_on(kingdom, tmp_path, **settings) as client:
        told = await client.post("/sync/clans")
        assert told.status_code in (202, 409), "by itself it may have told one a moment ago"
        again = await client.post("/sync/clans")
        assert again.status_code == 409
        assert "a worker" in again.json()["detail"]

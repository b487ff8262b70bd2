"""Health pages tell the truth and wake nothing; metrics carry the contract's names."""

from __future__ import annotations

import os
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.gateways import Told


@pytest.mark.parametrize("path", ["/health/live", "/health/ready"])
async def test_it_is_there(path: str, client: httpx.AsyncClient) -> None:
    response = await client.get(path)
    assert (response.status_code, response.json()) == (200, {"status": "ok"})


async def test_the_summary_follows_the_upstream(client: httpx.AsyncClient, told: Told) -> None:
    well = (await client.get("/health")).json()
    assert well["status"] == "ok"
    assert well["cache"]["store"] == {"kind": "sqlite", "waiting_writes": 0, "dropped_writes": 0}
    assert not well["containers"]["available"]
    told.status = 503
    await client.get("/players")
    ill = (await client.get("/health")).json()
    assert ill["status"] == "degraded"
    assert ill["upstream"]["failing_since"].endswith("+00:00")
    assert "503" in ill["upstream"]["last_error"]
    told.status = 200
    await client.get("/clans")
    assert (await client.get("/health")).json()["status"] == "ok"


async def test_without_an_engine_automation_says_that_it_is_off_and_why(
    client: httpx.AsyncClient,
) -> None:
    automation = (await client.get("/health/automation")).json()
    assert automation["available"] is False
    assert "no-engine.sock" in automation["reason"]
    containers = (await client.get("/health/containers")).json()
    assert containers["containers"] == []
    unknown = await client.get("/health/containers/mongodb")
    assert (unknown.status_code, unknown.json()["status"]) == (503, "unknown")
    assert "no-engine.sock" in unknown.json()["error"]
    assert (await client.get("/players")).status_code == 200


def resident_memory() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def test_the_metrics_tell_what_the_process_takes(client: httpx.AsyncClient) -> None:
    families = text_string_to_metric_families((await client.get("/metrics")).text)
    told = {sample.name: sample.value for family in families for sample in family.samples}
    assert told["process_resident_memory_bytes"] == pytest.approx(resident_memory(), rel=0.2)
    assert 0 < told["process_open_fds"] < told["process_max_fds"]


async def test_the_metrics_carry_the_names_of_the_contract(client: httpx.AsyncClient) -> None:
    for path in ("/players", "/players", "/nowhere"):
        await client.get(path)
    text = (await client.get("/metrics")).text
    for line in (
        'drawbridge_requests_total{method="GET",route="/players",status="200"} 2.0',
        'drawbridge_requests_total{method="GET",route="unknown",status="404"} 1.0',
        'drawbridge_request_seconds_count{route="/players"} 2.0',
        'drawbridge_cache_requests_total{outcome="miss",tier="upstream"} 1.0',
        'drawbridge_cache_requests_total{outcome="hit",tier="memory"} 1.0',
        'drawbridge_cache_entries{tier="memory"} 1.0',
        'drawbridge_upstream_requests_total{operation="players",status="200"} 1.0',
        "drawbridge_upstream_up 1.0",
        'drawbridge_upstream_breaker_state{state="closed"} 1.0',
        "drawbridge_upstream_calls_at_once 8.0",
    ):
        assert line in text

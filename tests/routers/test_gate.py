"""What proxies are told; behind a real nginx in ``tests/nginx/test_forward_auth.py``."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path

import httpx
import pytest

from app.middleware.waiting_page import POLICY
from tests.gateways import Told, gateway_on, upstream_of
from tests.real.engine import Workshop, engine_run, pytest_runtest_makereport, workshop

__all__ = ["engine_run", "pytest_runtest_makereport", "workshop"]

GATE = "/automation/gate/cellar"
PATHS = [GATE, f"{GATE}/waiting"]
BROWSER = {"accept": "text/html,*/*;q=0.8"}


@asynccontextmanager
async def gateway_to(workshop: Workshop, folder: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A gateway that looks after this test's containers."""
    scope = (workshop.case,)
    async with (
        upstream_of(Told()) as url,
        gateway_on(url, folder, container_scope=scope, docker_host=workshop.run.host) as client,
    ):
        yield client


@pytest.mark.parametrize("path", PATHS)
async def test_it_is_for_operators(path: str, client: httpx.AsyncClient, tmp_path: Path) -> None:
    for headers in ({"sec-fetch-site": "cross-site"}, {"x-forwarded-for": "203.0.113.9"}):
        assert (await client.get(path, headers=headers)).status_code == 403
    digest = sha256(b"open sesame").hexdigest()
    async with (
        upstream_of(Told()) as url,
        gateway_on(url, tmp_path / "keys", admin_api_keys=(digest,)) as with_keys,
    ):
        assert (await with_keys.get(path)).status_code == 401
        answer = await with_keys.get(path, headers={"x-api-key": "open sesame"})
        assert answer.status_code == 503


@pytest.mark.parametrize("path", PATHS)
async def test_without_an_engine_nobody_is_let_in(path: str, client: httpx.AsyncClient) -> None:
    answer = await client.get(path)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert answer.headers["content-type"] == "application/problem+json"
    assert "no-engine.sock" in answer.json()["detail"]
    page = await client.get(path, headers=BROWSER)
    assert (page.status_code, page.headers["content-security-policy"]) == (503, POLICY)
    assert page.headers["drawbridge-container"] == "waking"


@pytest.mark.parametrize("wait", ["-1", "61", "soon", "nan"])
async def test_a_wait_has_an_end(wait: str, client: httpx.AsyncClient) -> None:
    refused = await client.get(GATE, params={"wait": wait})
    assert (refused.status_code, refused.json()["title"]) == (422, "Parameters are wrong")


@pytest.mark.real("docker")
async def test_a_wish_to_be_let_in_wakes_it_and_counts_as_use(
    workshop: Workshop, tmp_path: Path
) -> None:
    made = workshop.container("cellar")
    async with gateway_to(workshop, tmp_path) as client:
        at_once = await client.get(GATE, params={"wait": "0"})
        assert (at_once.status_code, at_once.headers["drawbridge-container"]) == (503, "waking")
        assert int(at_once.headers["retry-after"]) >= 1
        let_in = await client.get(GATE)
        assert (let_in.status_code, let_in.content) == (204, b"")
        assert (await client.head(GATE)).status_code == 204
        assert workshop.count("start", made) == 1

        async def idle() -> float:
            told = (await client.get("/automation/containers/cellar")).json()
            return float(told["idle_seconds"])

        async with asyncio.timeout(20):
            while await idle() < 1.0:
                await asyncio.sleep(0.02)
        before = await idle()
        await client.get(GATE)
        assert await idle() < before


@pytest.mark.real("docker")
async def test_what_is_shown_instead_never_lets_in(workshop: Workshop, tmp_path: Path) -> None:
    workshop.container("cellar")
    async with gateway_to(workshop, tmp_path) as client:
        assert (await client.get(GATE)).status_code == 204
        late = await client.get(f"{GATE}/waiting")
        assert (late.status_code, late.headers["retry-after"]) == (503, "1")
        assert "has just come up" in late.json()["detail"]
        page = await client.get(f"{GATE}/waiting", headers=BROWSER)
        assert (page.status_code, 'data-health=""' in page.text) == (503, True)


@pytest.mark.real("docker")
async def test_reasons_are_told(workshop: Workshop, tmp_path: Path) -> None:
    workshop.container("cellar", command=["/bin/sh", "-c", "echo no wine >&2; exit 4"])
    async with gateway_to(workshop, tmp_path) as client:
        for path in PATHS:
            unknown = await client.get(path.replace("cellar", "celler"))
            assert (unknown.status_code, "cellar" in unknown.json()["detail"]) == (404, True)
        failed = await client.get(GATE)
        assert (failed.status_code, failed.headers["drawbridge-container"]) == (503, "failed")
        assert "no wine" in failed.json()["detail"]
        shown = await client.get(f"{GATE}/waiting", headers=BROWSER)
        assert "no wine" in shown.text

"""Containers over HTTP; with a real engine in ``tests/story``."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import httpx
import pytest

from tests.gateways import Told, gateway_on, upstream_of

PATHS = [
    ("GET", "/automation/containers"),
    ("GET", "/automation/containers/mongodb"),
    ("POST", "/automation/containers/mongodb/wake"),
    ("POST", "/automation/containers/mongodb/sleep"),
    ("POST", "/automation/idle-check"),
    ("GET", "/automation/report"),
    ("GET", "/automation/events"),
]


@pytest.mark.parametrize(("method", "path"), PATHS)
async def test_pages_of_other_sites_may_not_operate(
    method: str, path: str, client: httpx.AsyncClient
) -> None:
    refused = await client.request(method, path, headers={"sec-fetch-site": "cross-site"})
    assert (refused.status_code, refused.json()["title"]) == (403, "Operators only")


async def test_with_keys_set_a_key_is_needed(tmp_path: Path) -> None:
    digest = sha256(b"open sesame").hexdigest()
    async with (
        upstream_of(Told()) as url,
        gateway_on(url, tmp_path, admin_api_keys=(digest,)) as client,
    ):
        assert (await client.get("/automation/containers")).status_code == 401
        headers = {"x-api-key": "open sesame"}
        assert (await client.get("/automation/containers", headers=headers)).status_code == 200


async def test_without_containers_there_is_nothing_to_do(client: httpx.AsyncClient) -> None:
    assert (await client.get("/automation/containers")).json() == {"containers": []}
    report = (await client.get("/automation/report")).json()
    assert (report["since"], report["containers"]) == (None, [])
    assert (await client.post("/automation/idle-check")).json() == {"put_to_sleep": []}

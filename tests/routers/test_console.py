"""The operators' page over HTTP; in a real browser in ``tests/console``."""

from __future__ import annotations

from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path

import httpx
import pytest

from tests.gateways import Told, gateway_on, upstream_of

DIGEST = sha256(b"open sesame").hexdigest()
FILES = ["", "/", "/console.css", "/console.js", "/words.js", "/icon.svg"]


@pytest.fixture
async def locked(told: Told, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A gateway with a key."""
    async with (
        upstream_of(told) as url,
        gateway_on(url, tmp_path, admin_api_keys=(DIGEST,)) as client,
    ):
        yield client


@pytest.mark.parametrize("file", FILES)
async def test_the_files_are_for_everybody(file: str, locked: httpx.AsyncClient) -> None:
    answer = await locked.get(f"/console{file}")
    assert answer.status_code == 200
    again = {"if-none-match": answer.headers["etag"]}
    unchanged = await locked.get(f"/console{file}", headers=again)
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    head = await locked.head(f"/console{file}")
    assert (head.headers["content-length"], head.content) == (str(len(answer.content)), b"")


@pytest.mark.parametrize("file", FILES)
async def test_the_policy_allows_nothing_that_stands_in_the_page(
    file: str, locked: httpx.AsyncClient
) -> None:
    headers = (await locked.get(f"/console{file}")).headers
    [policy] = headers.get_list("content-security-policy")
    allowed = dict(part.split(" ", 1) for part in policy.split("; "))
    assert "unsafe" not in policy
    assert allowed["default-src"] == allowed["frame-ancestors"] == "'none'"
    assert allowed["script-src"] == allowed["connect-src"] == "'self'"
    assert headers["x-content-type-options"] == "nosniff"


async def test_what_it_shows_is_for_operators(locked: httpx.AsyncClient) -> None:
    assert (await locked.get("/console/overview")).status_code == 401
    wrong = await locked.get("/console/overview", headers={"x-api-key": "sesame"})
    assert wrong.status_code == 401
    right = await locked.get("/console/overview", headers={"x-api-key": "open sesame"})
    assert right.status_code == 200


async def test_without_keys_it_is_for_this_machine(client: httpx.AsyncClient) -> None:
    assert 'data-needs-key="no"' in (await client.get("/console")).text
    assert (await client.get("/console/overview")).status_code == 200
    elsewhere = {"sec-fetch-site": "cross-site"}
    assert (await client.get("/console/overview", headers=elsewhere)).status_code == 403


async def test_the_overview_counts_what_the_cache_answered(client: httpx.AsyncClient) -> None:
    assert (await client.get("/console/overview")).json()["answers"] == {}
    for path in ("/players", "/players", "/players", "/clans"):
        await client.get(path)
    overview = (await client.get("/console/overview")).json()
    assert overview["answers"] == {"miss": 2, "hit": 2}
    health = (await client.get("/health")).json()
    assert overview["health"].keys() == health.keys()
    assert overview["health"]["upstream"] == health["upstream"]
    assert (overview["containers"], overview["jobs"]) == ([], [])
    assert overview["savings"]["totals"]["memory_saved_byte_seconds"] == 0


async def test_the_overview_tells_how_the_jobs_stand(told: Told, tmp_path: Path) -> None:
    told.status = 503
    async with (
        upstream_of(told) as url,
        gateway_on(url, tmp_path, sync_enabled=True) as client,
    ):
        jobs = (await client.get("/console/overview")).json()["jobs"]
        named = (await client.get("/sync")).json()["jobs"]
    assert [job["job"] for job in jobs] == [job["job"] for job in named] != []


async def test_there_are_no_other_files(client: httpx.AsyncClient) -> None:
    for path in ("/console/files.py", "/console/..%2ffiles.py", "/console/__init__.py"):
        assert (await client.get(path)).status_code == 404

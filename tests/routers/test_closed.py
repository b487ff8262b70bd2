"""Every path of the real application that is for operators is closed to everybody else.

The paths are those that the application has, so that a new one is in this test by itself.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.routing import BaseRoute, Route
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from app.config import load_settings
from app.main import build_routes, own_routers
from app.runtime import open_runtime
from tests.gateways import Told, gateway_on, upstream_of

KEY = "open sesame"
DIGEST = sha256(KEY.encode()).hexdigest()
CLOSED = ("/automation", "/cache", "/sync", "/console/overview")
OPEN_FILES = re.compile(r"/console(/|/[a-z-]+\.(js|css|svg|html))?")
"""The page itself shows nothing; what it shows is ``/console/overview``."""
WITHOUT_A_KEY: list[dict[str, Any]] = [
    {},
    {"headers": {"x-api-key": "wrong"}},
    {"headers": {"x-api-key": DIGEST}},
    {"headers": {"x-api-key": f"{KEY}x"}},
    {"headers": {"authorization": f"Bearer {KEY}"}},
    {"headers": {"authorization": KEY}},
    {"headers": {"cookie": f"x-api-key={KEY}"}},
    {"headers": {"api-key": KEY}},
    {"params": {"x-api-key": KEY, "api_key": KEY, "key": KEY}},
    {"headers": {"x-forwarded-for": "127.0.0.1"}},
]
"""No key, a wrong one, and the right one in a wrong place."""
FROM_ELSEWHERE: list[dict[str, str]] = [
    {"x-forwarded-for": "127.0.0.1"},
    {"x-forwarded-for": "203.0.113.9"},
    {"forwarded": "for=127.0.0.1"},
    {"x-real-ip": "127.0.0.1"},
    {"host": "rebound.example"},
    {"host": "rebound.example:8000"},
    {"host": "127.0.0.1.rebound.example"},
    {"origin": "https://elsewhere.example"},
    {"origin": "null"},
    {"origin": "http://127.0.0.1.rebound.example"},
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
]
"""What a proxy on this machine, a name that was made to point here, or another site's page send."""


@pytest.fixture
async def upstream(tmp_path: Path) -> AsyncIterator[str]:
    async with upstream_of(Told()) as url:
        yield url


async def calls(folder: Path) -> list[tuple[str, str]]:
    """Method and path of everything below the prefixes that are for operators."""
    settings = load_settings(
        data_dir=folder, docker_host=f"unix://{folder}/none", sync_enabled=False, _env_file=None
    )
    async with open_runtime(settings) as runtime:
        routers = own_routers(runtime)
        build_routes(runtime, routers)  # fails if one of them does not fit
        routes = [route for router in routers for route in each(router.routes)]
    assert all(isinstance(route, Route) for route in routes), "a kind that this test has not met"
    return sorted(
        (method, re.sub(r"\{[^}]*\}", "anything", route.path))
        for route in routes
        if route.path.startswith(("/automation", "/cache", "/sync", "/console"))
        and not OPEN_FILES.fullmatch(route.path)
        for method in route.methods or ()
    )


def each(routes: Iterable[BaseRoute]) -> Iterator[Any]:
    """All of them, those of routers within routers too."""
    for route in routes:
        inner = getattr(route, "routes", None)
        if inner:
            yield from each(inner)
        else:
            yield route


async def answers(
    client: httpx.AsyncClient, asked: list[tuple[str, str]], **given: Any
) -> dict[tuple[str, str], int]:
    """The status of each; a stream that begins is an answer, too."""
    found = {}
    for method, path in asked:
        async with client.stream(method, path, **given) as answer:
            found[method, path] = answer.status_code
    return found


async def test_the_paths_are_those_that_are_documented(tmp_path: Path) -> None:
    paths = {path for _, path in await calls(tmp_path)}
    assert len(paths) >= 15
    assert {
        "/automation/events",
        "/automation/gate/anything",
        "/automation/containers/anything/sleep",
        "/cache/purge",
        "/sync/anything",
        "/console/overview",
    } <= paths
    assert all(path.startswith(CLOSED) for path in paths)


@pytest.mark.parametrize("trusted", ["", "127.0.0.0/8"])
async def test_with_keys_set_none_but_their_holders_are_let_in(
    upstream: str, tmp_path: Path, trusted: str
) -> None:
    asked = await calls(tmp_path / "asked")
    gateway = gateway_on(upstream, tmp_path, admin_api_keys=(DIGEST,), trusted_proxies=trusted)
    async with gateway as client:
        for given in WITHOUT_A_KEY:
            found = await answers(client, asked, **given)
            assert set(found.values()) == {401}, (given, found)
        allowed = await answers(client, asked, headers={"x-api-key": KEY})
        assert not {401, 403} & set(allowed.values())


@pytest.mark.parametrize("trusted", ["", "127.0.0.0/8"])
async def test_without_keys_this_machine_is_believed_only_when_it_speaks_for_itself(
    upstream: str, tmp_path: Path, trusted: str
) -> None:
    asked = await calls(tmp_path / "asked")
    async with gateway_on(upstream, tmp_path, trusted_proxies=trusted) as client:
        for headers in FROM_ELSEWHERE:
            found = await answers(client, asked, headers=headers)
            assert set(found.values()) == {403}, (headers, found)
        assert 403 not in (await answers(client, asked)).values()


async def test_no_websocket_leads_there_either(upstream: str, tmp_path: Path) -> None:
    asked = await calls(tmp_path / "asked")
    async with gateway_on(upstream, tmp_path, admin_api_keys=(DIGEST,)) as client:
        base = str(client.base_url).replace("http", "ws", 1)
        for _, path in asked:
            with pytest.raises(InvalidStatus) as refused:
                await connect(f"{base}{path}", additional_headers={"x-api-key": KEY})
            assert refused.value.response.status_code in (403, 404)

"""Who the gateway thinks asks, with nginx in front of it, and proxies in front of nginx."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from app.middleware.client_address import CLIENT, ClientAddress, parse_networks
from tests.nginx.origins import serving
from tests.real.nginx import Front, OpenFront

pytestmark = pytest.mark.real("nginx")

HERE = "127.0.0.1"


async def name_client(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse(scope["state"][CLIENT])(scope, receive, send)


@asynccontextmanager
async def opened(front: OpenFront, **settings: str) -> AsyncIterator[Front]:
    """nginx before the gateway's own rule, by which nginx is trusted."""
    app: ASGIApp = ClientAddress(name_client, parse_networks([HERE]))
    async with serving(app) as behind, front(behind, **settings) as nginx:
        yield nginx


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-forwarded-for": "203.0.113.9"},
        {"x-forwarded-for": "203.0.113.9, 10.0.0.1", "x-real-ip": "203.0.113.8"},
        {"forwarded": "for=203.0.113.9"},
    ],
)
async def test_what_a_client_says_of_itself_is_not_believed(
    front: OpenFront, headers: dict[str, str]
) -> None:
    async with opened(front) as nginx:
        assert (await nginx.client.get("/who", headers=headers)).text == HERE


@pytest.mark.parametrize(
    ("forwarded_for", "client"),
    [
        ("203.0.113.9", "203.0.113.9"),
        # The nearest that is no proxy of ours; what stands before it is only claimed.
        ("198.51.100.1, 203.0.113.9", "203.0.113.9"),
        ("203.0.113.9, 10.1.2.3", "203.0.113.9"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("nonsense", HERE),
    ],
)
async def test_a_trusted_proxy_in_front_is_believed(
    front: OpenFront, forwarded_for: str, client: str
) -> None:
    async with opened(front, NGINX_TRUSTED_PROXIES=f"{HERE}/32,10.0.0.0/8") as nginx:
        headers = {"x-forwarded-for": forwarded_for, "forwarded": "for=192.0.2.1"}
        answer = await nginx.client.get("/who", headers=headers)
        assert answer.text == client


async def test_neighbours_in_one_ipv6_site_are_counted_together(front: OpenFront) -> None:
    settings = {"REQUESTS_PER_SECOND": "1", "REQUESTS_BURST": "2", "NGINX_TRUSTED_PROXIES": HERE}
    async with opened(front, **settings) as nginx:

        async def statuses(addresses: list[str]) -> set[int]:
            return {
                (await nginx.client.get("/who", headers={"x-forwarded-for": one})).status_code
                for one in addresses
            }

        assert 429 in await statuses([f"2001:db8::{number}" for number in range(1, 20)])
        assert await statuses([f"2001:db8:0:{number}::1" for number in range(1, 20)]) == {200}

"""What nginx is put in front of: gateways in this process, and servers that do as a test says."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp

from app.serving import beside, bind
from tests.gateways import Told, gateway_on, upstream_of


@asynccontextmanager
async def serving(app: ASGIApp) -> AsyncIterator[str]:
    """``host:port`` of a server of our own."""
    listening = bind("127.0.0.1", 0)
    async with beside(listening, app):
        yield f"127.0.0.1:{listening.getsockname()[1]}"


@asynccontextmanager
async def gateway(told: Told, folder: Path, **settings: Any) -> AsyncIterator[str]:
    """``host:port`` of a gateway that asks ``told``, and believes nginx about who asks."""
    wanted = {"trusted_proxies": ["127.0.0.1"], **settings}
    async with upstream_of(told) as url, gateway_on(url, folder, **wanted) as client:
        yield client.base_url.netloc.decode()

"""A gateway in front of an upstream that says what it is told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.gateways import Told, gateway_on, upstream_of


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
async def client(told: Told, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with upstream_of(told) as url, gateway_on(url, tmp_path) as client:
        yield client

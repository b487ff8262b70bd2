"""The documentation pages in a real browser, which can reach nobody but the gateway."""

from __future__ import annotations

import httpx
import pytest
from playwright.async_api import Browser, Route, expect

from tests.real.browser import browser

__all__ = ["browser"]
pytestmark = [pytest.mark.real("chromium"), pytest.mark.timeout(180)]


@pytest.mark.parametrize(
    ("page_path", "shows"),
    [("/docs", "/players/multi"), ("/redoc", "Heroes of many wallets")],
)
async def test_the_pages_show_the_operations(
    page_path: str, shows: str, client: httpx.AsyncClient, browser: Browser
) -> None:
    base = str(client.base_url)
    elsewhere: list[str] = []

    async def only_the_gateway(route: Route) -> None:
        if route.request.url.startswith((base, "data:", "blob:")):
            await route.continue_()
        else:
            elsewhere.append(route.request.url)
            await route.abort()

    page = await browser.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    await page.route("**/*", only_the_gateway)
    await page.goto(base + page_path)
    await expect(page.get_by_text(shows).first).to_be_attached(timeout=60_000)
    await page.wait_for_load_state("networkidle", timeout=60_000)
    assert errors == []
    assert elsewhere == []
    await page.close()

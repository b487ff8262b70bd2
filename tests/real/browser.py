"""A real browser for tests of pages: Debian's Chromium, driven by Playwright."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, async_playwright, expect

from tests.real.require import find_binary, unavailable

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
"""Without the sandbox because tests run as root; and nothing asks for the world by itself."""


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    """Chromium with an empty profile."""
    program = find_binary("chromium")
    if program is None:
        unavailable("chromium", "there is no chromium on the PATH")
    # Of no meaning to a test that passes: a busy machine is given its time.
    expect.set_options(timeout=30_000)
    async with async_playwright() as playwright:
        running = await playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield running
        await running.close()

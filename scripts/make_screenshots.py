"""Make the pictures of the operators' page that the documentation shows.

A gateway on a small sandbox kingdom, three containers that really run, and a real Chromium:
``python scripts/make_screenshots.py [FOLDER]`` writes ``docs/assets/console-*.png``. It needs an
engine, ``redis-server`` and ``chromium``, as the tests do, and removes what it makes.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).parents[1]
# Run by its path, a script finds what stands beside it, and not the project.
sys.path.insert(0, str(ROOT))

from playwright.async_api import Browser, async_playwright, expect  # noqa: E402

from app.sandbox.app import create_sandbox  # noqa: E402
from app.sandbox.options import SandboxOptions  # noqa: E402
from app.serving import address, beside, bind  # noqa: E402
from tests.gateways import gateway_on  # noqa: E402
from tests.real.browser import FLAGS  # noqa: E402
from tests.real.engine import Workshop, find_engine  # noqa: E402
from tests.real.require import find_binary, unavailable  # noqa: E402

if TYPE_CHECKING:
    import httpx

PICTURES = {
    "console-light": ("light", 1080, 1000),
    "console-dark": ("dark", 1080, 1000),
    "console-phone": ("dark", 390, 844),
}
"""Colour scheme and size in pixels, by the file's name."""
CONTAINERS: dict[str, dict[str, str]] = {
    "mongodb": {"provides": "mongodb", "priority": "high"},
    "grafana": {"routes": "/grafana", "port": "6379", "idle-timeout": "1h"},
    "kibana": {"idle-timeout": "1h", "priority": "low"},
}
JOBS = ("definitions", "items", "clans")
QUESTIONS = ("/players", "/clans", "/items?numToFetch=3", "/quests", "/pets?numToFetch=2")


@contextmanager
def containers() -> Iterator[Workshop]:
    """Three containers that sleep; removed at the end, their image too."""
    run = find_engine()
    shop = Workshop(run, uuid.uuid4().hex[:10])
    try:
        for name, labels in CONTAINERS.items():
            tag = f"example/{name}"
            run.api.tag(shop.redis_image(), tag, "1")
            shop.container(name, image=f"{tag}:1", labels=labels)
        yield shop
    finally:
        shop.clean()
        run.remove_all()


@asynccontextmanager
async def gateway(shop: Workshop, folder: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A gateway that looks after them, in front of a sandbox kingdom."""
    upstream = bind("127.0.0.1", 0)
    async with (
        beside(upstream, create_sandbox(SandboxOptions(players=200))),
        gateway_on(
            address(upstream),
            folder,
            sync_enabled=True,
            sync_pace=0,
            container_auto_start=True,
            container_auto_stop=True,
            container_scope=(shop.case,),
            docker_host=shop.run.host,
        ) as client,
    ):
        yield client


async def live_a_little(client: httpx.AsyncClient) -> None:
    """So that there is something to see."""
    for path in QUESTIONS * 4:
        await client.get(path)
    for job in JOBS:
        await client.post(f"/sync/{job}", timeout=60)
    for name in ("mongodb", "grafana", "kibana"):
        await client.post(f"/automation/containers/{name}/wake")
    await client.post("/automation/containers/kibana/sleep")


async def picture(browser: Browser, client: httpx.AsyncClient, name: str, to: Path) -> None:
    """One picture of the page, while two containers move."""
    scheme, width, height = PICTURES[name]
    context = await browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if scheme == "dark" else "light",
    )
    page = await context.new_page()
    await page.goto(f"{client.base_url}/console")
    await expect(page.get_by_text("Live", exact=True)).to_be_visible(timeout=20_000)
    await page.get_by_role("button", name="Sleep grafana").click()
    await expect(page.get_by_role("status")).to_have_text("grafana is asleep.", timeout=20_000)
    await page.get_by_role("button", name="Wake grafana").click()
    await expect(page.get_by_role("status")).to_have_text("grafana is awake.", timeout=20_000)
    await expect(page.locator("#events li")).not_to_have_count(0)
    await page.screenshot(path=to / f"{name}.png")
    await context.close()


async def make_pictures(to: Path) -> None:
    """Write all of them into the folder ``to``."""
    program = find_binary("chromium")
    if program is None:
        unavailable("chromium", "there is no chromium on the PATH")
    with tempfile.TemporaryDirectory() as folder, containers() as shop:
        async with gateway(shop, Path(folder)) as client, async_playwright() as playwright:
            await live_a_little(client)
            browser = await playwright.chromium.launch(executable_path=program, args=FLAGS)
            for name in PICTURES:
                await picture(browser, client, name, to)
                print(to / f"{name}.png")
            await browser.close()


if __name__ == "__main__":
    asyncio.run(make_pictures(Path(sys.argv[1]) if sys.argv[1:] else ROOT / "docs" / "assets"))

"""The operators' page in a real Chromium, with real containers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.async_api import Browser, BrowserContext, Locator, Page, expect

from tests.gateways import Told, gateway_on, upstream_of
from tests.real.browser import browser
from tests.real.engine import Workshop

__all__ = ["browser"]
pytestmark = [
    pytest.mark.real("chromium"),
    pytest.mark.real("docker"),
    pytest.mark.timeout(180),
]

DIGEST = sha256(b"opensesame").hexdigest()
LONG = 40_000
PHONE = {"width": 320, "height": 640}
REFUSED = "Failed to load resource"


@dataclass
class Visit:
    """The page in one tab, and what the browser complained about."""

    page: Page
    complaints: list[str] = field(default_factory=list)

    def card(self, name: str) -> Locator:
        heading = self.page.get_by_role("heading", name=name, exact=True)
        return self.page.get_by_role("listitem").filter(has=heading)

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)


@asynccontextmanager
async def visit(
    browser: Browser, gateway: httpx.AsyncClient, **options: Any
) -> AsyncIterator[Visit]:
    """The page, just opened; at the end nothing may have been complained about but what the test
    took out of ``complaints``."""
    context: BrowserContext = await browser.new_context(**options)
    context.set_default_timeout(30_000)
    visited = Visit(await context.new_page())
    noted = visited.complaints
    visited.page.on("pageerror", lambda error: noted.append(str(error)))
    visited.page.on(
        "console",
        lambda line: noted.append(line.text) if line.type in ("error", "warning") else None,
    )
    await visited.page.goto(f"{gateway.base_url}/console")
    yield visited
    await context.close()
    assert noted == []


@asynccontextmanager
async def gateway_to(
    workshop: Workshop, folder: Path, at_port: int = 0, /, **settings: Any
) -> AsyncIterator[httpx.AsyncClient]:
    """A gateway that looks after this test's containers."""
    async with (
        upstream_of(Told()) as url,
        gateway_on(
            url,
            folder,
            at_port,
            container_auto_start=True,
            container_auto_stop=True,
            container_scope=(workshop.case,),
            docker_host=workshop.run.host,
            **settings,
        ) as client,
    ):
        yield client


async def test_a_container_is_woken_and_put_to_sleep_by_clicking(
    workshop: Workshop, tmp_path: Path, browser: Browser
) -> None:
    container = workshop.container("cellar", labels={"provides": "redis"})
    async with gateway_to(workshop, tmp_path) as gateway, visit(browser, gateway) as shown:
        card = shown.card("cellar")
        await expect(card).to_contain_text("Asleep for")
        await expect(card).to_contain_text("gives redis")
        await expect(shown.button("Sleep cellar")).to_have_attribute("aria-disabled", "true")
        await expect(shown.page.get_by_text("Live", exact=True)).to_be_visible()

        await shown.button("Wake cellar").click()
        await expect(shown.page.get_by_role("status")).to_have_text("cellar is awake.")
        await expect(card).to_contain_text("Awake for")
        await expect(card).to_contain_text("sleeps in 30 min")
        assert workshop.state(container) == "running"
        events = shown.page.get_by_role("region", name="Events").get_by_role("listitem")
        await expect(events.first).to_contain_text("waking → awake (operator on loopback")

        await shown.button("Sleep cellar").click()
        await expect(shown.page.get_by_role("status")).to_have_text("cellar is asleep.")
        await expect(card).to_contain_text("Asleep for")
        assert workshop.state(container) == "exited"
        assert workshop.count("start", container) == 1


async def test_what_others_do_is_shown_without_asking(
    workshop: Workshop, tmp_path: Path, browser: Browser
) -> None:
    workshop.container("cellar")
    async with gateway_to(workshop, tmp_path) as gateway, visit(browser, gateway) as shown:
        await expect(shown.card("cellar")).to_contain_text("Asleep for")
        await gateway.post("/automation/containers/cellar/wake")
        await expect(shown.card("cellar")).to_contain_text("Awake for")
        for _ in range(2):
            await gateway.get("/players")
        figures = shown.page.get_by_role("region", name="At a glance")
        await expect(figures).to_contain_text("50 %of 2 answers")
        await expect(figures).to_contain_text("Answering")


async def test_what_cannot_be_done_is_said_in_words(
    workshop: Workshop, tmp_path: Path, browser: Browser
) -> None:
    workshop.container("cellar", command=["/bin/sh", "-c", "echo no disk >&2; exit 3"])
    workshop.container("gate", labels={"priority": "critical"})
    async with gateway_to(workshop, tmp_path) as gateway, visit(browser, gateway) as shown:
        await shown.button("Wake cellar").click()
        trouble = shown.card("cellar").get_by_role("alert")
        await expect(trouble).to_contain_text("exited with code 3")
        await shown.button("Wake gate").click()
        await expect(shown.card("gate")).to_contain_text("Awake for")
        await shown.button("Sleep gate").click()
        await expect(shown.card("gate").get_by_role("alert")).to_contain_text("critical")
        # The browser tells of answers that are errors; there were two, and nothing else.
        assert [line[: len(REFUSED)] for line in shown.complaints] == [REFUSED] * 2
        shown.complaints.clear()


async def test_a_key_is_asked_for_and_forgotten_again(
    workshop: Workshop, tmp_path: Path, browser: Browser
) -> None:
    workshop.container("cellar")
    locked = gateway_to(workshop, tmp_path, admin_api_keys=(DIGEST,))
    async with locked as gateway, visit(browser, gateway) as shown:
        field = shown.page.get_by_label("Operator key")
        alert = shown.page.get_by_role("form").get_by_role("alert")
        await expect(field).to_be_focused()
        await field.fill("schlüssel")
        await shown.button("Sign in").click()
        await expect(alert).to_have_text("This is not a key.")
        await field.fill("closesesame")
        await shown.button("Sign in").click()
        await expect(alert).to_have_text("No such key is known here.")
        assert await shown.page.evaluate("sessionStorage.length") == 0
        assert [line[: len(REFUSED)] for line in shown.complaints] == [REFUSED]
        shown.complaints.clear()

        await field.fill("opensesame")
        await field.press("Enter")
        await expect(shown.card("cellar")).to_contain_text("Asleep for")
        await shown.button("Wake cellar").click()
        events = shown.page.get_by_role("region", name="Events")
        await expect(events).to_contain_text(f"operator {DIGEST[:8]}")
        await shown.page.reload()
        await expect(shown.card("cellar")).to_contain_text("Awake for")

        await shown.button("Sign out").click()
        await expect(field).to_be_visible()
        await expect(shown.card("cellar")).to_have_count(0)
        assert await shown.page.evaluate("sessionStorage.length") == 0


async def test_a_key_that_was_withdrawn_signs_out(
    workshop: Workshop, tmp_path: Path, browser: Browser
) -> None:
    workshop.container("cellar")
    locked = gateway_to(workshop, tmp_path, admin_api_keys=(DIGEST,))
    async with locked as gateway, visit(browser, gateway) as shown:
        await shown.page.get_by_label("Operator key").fill("opensesame")
        await shown.button("Sign in").click()
        await expect(shown.card("cellar")).to_contain_text("Asleep for")
        kept = await shown.page.evaluate("Object.keys(sessionStorage)")
        await shown.page.evaluate("name => sessionStorage.setItem(name, 'withdrawn')", *kept)
        await shown.page.reload()
        alert = shown.page.get_by_role("form").get_by_role("alert")
        await expect(alert).to_have_text("The key is not known any more.")
        await expect(shown.card("cellar")).to_have_count(0)
        assert await shown.page.evaluate("sessionStorage.length") == 0
        assert [line[: len(REFUSED)] for line in shown.complaints] == [REFUSED]
        shown.complaints.clear()


async def test_the_keyboard_is_enough(workshop: Workshop, tmp_path: Path, browser: Browser) -> None:
    container = workshop.container("cellar")
    async with gateway_to(workshop, tmp_path) as gateway, visit(browser, gateway) as shown:
        await expect(shown.card("cellar")).to_contain_text("Asleep for")
        keyboard = shown.page.keyboard
        await keyboard.press("Tab")
        skip = shown.page.get_by_role("link", name="Skip to the containers")
        await expect(skip).to_be_focused()
        await keyboard.press("Enter")
        await keyboard.press("Tab")
        await expect(shown.button("Wake cellar")).to_be_focused()
        await keyboard.press("Enter")
        await expect(shown.page.get_by_role("status")).to_have_text("cellar is awake.")
        # It cannot be done any more, and has the focus all the same.
        await expect(shown.button("Wake cellar")).to_be_focused()
        await keyboard.press("Enter")
        await keyboard.press("Tab")
        await expect(shown.button("Sleep cellar")).to_be_focused()
        await keyboard.press("Space")
        await expect(shown.page.get_by_role("status")).to_have_text("cellar is asleep.")
        assert workshop.state(container) == "exited"
        assert workshop.count("start", container) == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_it_fits_a_phone_and_can_be_read(
    scheme: str, workshop: Workshop, tmp_path: Path, browser: Browser
) -> None:
    workshop.container(
        "a-container-with-quite-a-long-name-that-has-no-spaces", labels={"provides": "mongodb"}
    )
    async with (
        gateway_to(workshop, tmp_path) as gateway,
        visit(browser, gateway, viewport=PHONE, color_scheme=scheme) as shown,
    ):
        await shown.page.get_by_role("button", name="Wake").click()
        await expect(shown.page.get_by_role("status")).to_contain_text("is awake.")
        width = "document.documentElement.scrollWidth"
        assert await shown.page.evaluate(width) <= PHONE["width"]
        pale = await shown.page.evaluate(PALE)
        assert pale == []
        small = await shown.page.evaluate(SMALL)
        assert small == []


async def test_an_end_of_the_gateway_is_told_and_a_new_one_found(
    workshop: Workshop, tmp_path: Path, browser: Browser
) -> None:
    workshop.container("cellar")
    context = await browser.new_context()
    page = await context.new_page()
    alarm = page.get_by_role("main").get_by_role("alert").first
    live = page.get_by_text("Live", exact=True)
    async with gateway_to(workshop, tmp_path) as gateway:
        await page.goto(f"{gateway.base_url}/console")
        await expect(live).to_be_visible()
    await expect(page.get_by_text("Reconnecting")).to_be_visible()
    await expect(alarm).to_have_text(
        "The gateway cannot be reached. What you see is old.", timeout=LONG
    )
    async with gateway_to(workshop, tmp_path, gateway.base_url.port or 0):
        await expect(live).to_be_visible(timeout=LONG)
        await expect(alarm).to_be_hidden()
        await context.close()


async def test_only_text_is_made_of_what_it_is_told(
    workshop: Workshop, tmp_path: Path, browser: Browser
) -> None:
    command = ["/bin/sh", "-c", "echo '<img src=x onerror=alert(1)><b>bold</b>' >&2; exit 3"]
    workshop.container("cellar", command=command)
    async with gateway_to(workshop, tmp_path) as gateway, visit(browser, gateway) as shown:
        await shown.button("Wake cellar").click()
        await expect(shown.card("cellar").get_by_role("alert")).to_contain_text("<b>bold</b>")
        assert await shown.page.locator("li b, li img").count() == 0
        shown.complaints[:] = [line for line in shown.complaints if REFUSED not in line]


async def test_no_container_can_take_its_place(workshop: Workshop, tmp_path: Path) -> None:
    paths = ["/console", "/automation", "/health", "/v1", "/docs"]
    thief = workshop.container("thief", labels={"routes": ", ".join(paths)})
    async with gateway_to(workshop, tmp_path) as gateway:
        listed = (await gateway.get("/automation/containers")).json()["containers"]
        assert [one["name"] for one in listed] == ["thief"]
        for path in ("/console", "/console/overview", "/health", "/v1/operations", "/docs"):
            answer = await gateway.get(path, headers={"accept": "text/html"})
            assert answer.status_code == 200, path
    assert workshop.count("start", thief) == 0


PALE = """() => {
  const light = (colour) => {
    const parts = colour.match(/[\\d.]+/g).slice(0, 3).map((part) => part / 255);
    const [r, g, b] = parts.map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    const colour = getComputedStyle(element).backgroundColor;
    const clear = colour === "rgba(0, 0, 0, 0)" && element.parentElement;
    return clear ? behind(element.parentElement) : colour;
  };
  return [...document.querySelectorAll("body *")].filter((element) => {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!own || !element.checkVisibility()) return false;
    const [one, other] = [light(getComputedStyle(element).color), light(behind(element))];
    return (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05) < 4.5;
  }).map((element) => element.outerHTML);
}"""
"""Elements whose text has less contrast than WCAG 2 asks for (AA)."""

SMALL = """() => [...document.querySelectorAll("button")].filter((button) => {
  const { width, height } = button.getBoundingClientRect();
  return button.checkVisibility() && (width < 44 || height < 44);
}).map((button) => button.outerHTML)"""
"""Buttons that a finger misses."""

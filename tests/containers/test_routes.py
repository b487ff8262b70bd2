"""A web server in a container behind a path of the gateway: woken by a visit, real all through."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from playwright.async_api import Browser, expect
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect
from websockets.asyncio.client import connect

from app.serving import beside, bind
from tests.gateways import Told, gateway_on, upstream_of
from tests.real.browser import browser
from tests.real.engine import Workshop
from tests.real.require import find_binary, unavailable

__all__ = ["browser"]
pytestmark = [pytest.mark.real("docker"), pytest.mark.timeout(120)]

PORT = 8080
CONFIGURATION = b"""
user root;
pid /tmp/nginx.pid;
daemon off;
error_log stderr;
events {}
http {
  access_log off;
  server {
    listen 8080;
    location /board { default_type text/html; return 200 "<h1>The board</h1>$request_uri"; }
  }
}
"""
PASSWD = b"root:x:0:0:root:/root:/bin/sh\n"


LIVE = """
http {
  server {
    listen 8080;
    location / {
      proxy_pass http://HOST;
      proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection "upgrade";
    }
  }
}
"""


def image(workshop: Workshop) -> str:
    program = find_binary("nginx") or find_binary("/usr/sbin/nginx")
    if program is None:
        unavailable("nginx", "there is no nginx on the PATH")
    files: dict[str, str | Path | bytes] = {
        "/bin/nginx": program,
        "/bin/sh": "/bin/sh",
        "/bin/sleep": "/bin/sleep",
        "/etc/passwd": PASSWD,
        "/etc/group": b"root:x:0:\n",
        "/board.conf": CONFIGURATION,
        "/var/log/nginx/.keep": b"",
        "/var/lib/nginx/.keep": b"",
    }
    return workshop.run.image_from_files("board", files, expose=[PORT])


def board(workshop: Workshop, command: str = "exec /bin/nginx -c /board.conf") -> str:
    """A container that serves /board once its command does."""
    return workshop.container(
        "board",
        image=image(workshop),
        command=["/bin/sh", "-c", command],
        labels={"routes": "/board"},
    )


@asynccontextmanager
async def gateway_to(workshop: Workshop, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A gateway that looks after this test's containers."""
    told = Told()
    async with (
        upstream_of(told) as url,
        gateway_on(
            url,
            tmp_path,
            container_auto_start=True,
            container_auto_stop=True,
            container_scope=(workshop.case,),
            docker_host=workshop.run.host,
        ) as client,
    ):
        yield client


async def test_a_visit_wakes_it_and_is_answered(workshop: Workshop, tmp_path: Path) -> None:
    container = board(workshop)
    async with gateway_to(workshop, tmp_path) as gateway:
        answer = await gateway.get("/board/a%2Fb?x=1")
        assert (answer.status_code, answer.text) == (200, "<h1>The board</h1>/board/a%2Fb?x=1")
        assert workshop.count("start", container) == 1
        await gateway.post("/automation/containers/board/sleep")
        assert workshop.state(container) == "exited"
        answers = await asyncio.gather(*(gateway.get("/board") for _ in range(50)))
        assert {one.status_code for one in answers} == {200}
        assert workshop.count("start", container) == 2


async def test_other_paths_are_not_its_own(workshop: Workshop, tmp_path: Path) -> None:
    container = board(workshop)
    async with gateway_to(workshop, tmp_path) as gateway:
        for path in ("/boards", "/other", "/health", "/items"):
            await gateway.get(path)
    assert workshop.count("start", container) == 0


async def test_one_that_does_not_start_is_told_with_its_reason(
    workshop: Workshop, tmp_path: Path
) -> None:
    board(workshop, "echo no disk >&2; exit 3")
    async with gateway_to(workshop, tmp_path) as gateway:
        answer = await gateway.get("/board")
        assert answer.status_code == 503
        assert answer.headers["content-type"] == "application/problem+json"
        assert "exited with code 3" in answer.json()["detail"]
        assert "no disk" in answer.json()["detail"]
        shown = await gateway.get("/board", headers={"accept": "text/html,*/*"})
    assert shown.status_code == 503
    assert "no disk" in shown.text


@pytest.mark.real("chromium")
async def test_a_browser_is_shown_that_it_waits_and_goes_on_by_itself(
    workshop: Workshop, tmp_path: Path, browser: Browser
) -> None:
    container = board(workshop, "/bin/sleep 2; exec /bin/nginx -c /board.conf")
    async with gateway_to(workshop, tmp_path) as gateway:
        page = await browser.new_page()
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda line: errors.append(line.text) if "Policy" in line.text else None)
        first = await page.goto(f"{gateway.base_url}/board/here")
        assert first is not None
        assert first.status == 503
        await expect(page.get_by_role("heading", name="Waking board")).to_be_visible()
        await expect(page.get_by_role("status")).to_contain_text("It is starting")
        await expect(page.get_by_text("The board")).to_be_visible(timeout=30_000)
        assert "/board/here" in await page.content()
        await page.close()
    assert errors == []
    assert workshop.count("start", container) == 1


async def test_a_websocket_wakes_it_and_is_carried_to_it(
    workshop: Workshop, tmp_path: Path
) -> None:
    """The container's server hands the connection on to one of this test: no image has one."""

    async def echo(scope: Scope, receive: Receive, send: Send) -> None:
        socket = WebSocket(scope, receive, send)
        await socket.accept()
        with contextlib.suppress(WebSocketDisconnect):
            while True:
                await socket.send_text(f"{scope['path']} {await socket.receive_text()}")

    bridge = workshop.api.inspect_network("bridge")["IPAM"]["Config"][0]["Gateway"]
    listening = bind(bridge, 0)
    host = f"{bridge}:{listening.getsockname()[1]}"
    head = "user root; pid /tmp/nginx.pid; daemon off; error_log stderr; events {}"
    write = f"echo '{head}{LIVE.replace('HOST', host)}' > /live.conf"
    container = board(workshop, f"{write}; exec /bin/nginx -c /live.conf")
    async with beside(listening, echo), gateway_to(workshop, tmp_path) as gateway:
        url = str(gateway.base_url).replace("http", "ws", 1) + "/board/live"
        async with connect(url) as client:
            for word in ("one", "two"):
                await client.send(word)
                assert await client.recv() == f"/board/live {word}"
            view = (await gateway.get("/automation/containers/board")).json()
            assert (view["state"], view["leases"]) == ("awake", 1)
    assert workshop.count("start", container) == 1

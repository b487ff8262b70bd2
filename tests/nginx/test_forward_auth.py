"""The example for forward auth, with a container that is really woken by it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.async_api import Browser

from tests.gateways import Told, gateway_on, upstream_of
from tests.real.browser import browser
from tests.real.engine import Workshop
from tests.real.nginx import START, Certificate, Front, OpenFront, nginx_program
from tests.real.server import free_port

__all__ = ["browser"]
pytestmark = [pytest.mark.real("nginx"), pytest.mark.real("docker"), pytest.mark.timeout(120)]

EXAMPLE = START.parent / "examples" / "forward-auth.conf"
KEY = "open sesame"
BROWSER = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
PORT = 3000
APPLICATION = b"""
user root;
pid /tmp/nginx.pid;
daemon off;
error_log stderr;
events {}
http {
  access_log off;
  server {
    listen 3000;
    location / {
      default_type text/html;
      return 200 "<h1>Grafana</h1>$request_method $request_uri";
    }
    location /broken { return 502 "its own"; }
  }
}
"""


def application(
    workshop: Workshop, command: str = "exec /bin/nginx -c /app.conf"
) -> tuple[str, int]:
    """A container called grafana, asleep, and the port on this machine that leads to it."""
    files: dict[str, str | Path | bytes] = {
        "/bin/nginx": nginx_program(),
        "/bin/sh": "/bin/sh",
        "/bin/sleep": "/bin/sleep",
        "/etc/passwd": b"root:x:0:0:root:/root:/bin/sh\n",
        "/etc/group": b"root:x:0:\n",
        "/app.conf": APPLICATION,
        "/var/log/nginx/.keep": b"",
        "/var/lib/nginx/.keep": b"",
    }
    image = workshop.run.image_from_files("application", files, expose=[PORT])
    port = free_port()
    made = workshop.container(
        "grafana",
        image=image,
        command=["/bin/sh", "-c", command],
        port_bindings={PORT: ("127.0.0.1", port)},
    )
    return made, port


def example(folder: Path, certificate: Certificate, port: int, key: str) -> tuple[Path, int]:
    """The example with the names of this machine in it, and the port of its site."""
    sites = folder / "sites"
    sites.mkdir()
    key_file = folder / "gate_key.conf"
    key_file.write_text(f'proxy_set_header X-API-Key "{key}";\n')
    listening = free_port()
    text = EXAMPLE.read_text()
    for placeholder, value in {
        "listen 443": f"listen {listening}",
        "grafana.example.com": "localhost",
        "/run/secrets/tls_certificate": str(certificate.file),
        "/run/secrets/tls_key": str(certificate.key),
        "/run/secrets/gate_key.conf": str(key_file),
        "grafana:3000": f"127.0.0.1:{port}",
    }.items():
        assert placeholder in text
        text = text.replace(placeholder, value)
    (sites / "grafana.conf").write_text(text)
    return sites, listening


@asynccontextmanager
async def gated(
    front: OpenFront,
    workshop: Workshop,
    certificate: Certificate,
    folder: Path,
    port: int,
    *,
    key: str = KEY,
) -> AsyncIterator[tuple[httpx.AsyncClient, httpx.AsyncClient]]:
    """Clients of the site, and of the gateway behind it, with an operator's key."""
    sites, listening = example(folder, certificate, port, key)
    async with (
        upstream_of(Told()) as url,
        gateway_on(
            url,
            folder,
            container_scope=(workshop.case,),
            docker_host=workshop.run.host,
            admin_api_keys=(sha256(KEY.encode()).hexdigest(),),
            trusted_proxies=["127.0.0.1"],
        ) as gateway,
        front(gateway.base_url.netloc.decode(), SITES=str(sites)) as nginx,
        site(nginx, certificate, listening) as client,
    ):
        gateway.headers["x-api-key"] = KEY
        yield client, gateway


def site(_: Front, certificate: Certificate, port: int) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        base_url=f"https://localhost:{port}", verify=certificate.context(), timeout=60
    )


async def test_a_request_wakes_it_and_is_let_in(
    front: OpenFront, workshop: Workshop, certificate: Certificate, tmp_path: Path
) -> None:
    container, port = application(workshop)
    async with gated(front, workshop, certificate, tmp_path, port) as (client, gateway):
        answer = await client.get("/d/1?x=%2F")
        assert (answer.status_code, answer.text) == (200, "<h1>Grafana</h1>GET /d/1?x=%2F")
        posted = await client.post("/api", content=b"a" * 100_000)
        assert (posted.status_code, posted.text) == (200, "<h1>Grafana</h1>POST /api")
        own = await client.get("/broken")
        assert (own.status_code, own.text) == (502, "its own")
        assert workshop.count("start", container) == 1
        slept = await gateway.post("/automation/containers/grafana/sleep")
        assert (slept.status_code, workshop.state(container)) == (200, "exited")
        answers = await asyncio.gather(*(client.get("/") for _ in range(20)))
        assert {one.status_code for one in answers} == {200}
        assert workshop.count("start", container) == 2


async def test_a_browser_is_shown_the_page_and_a_program_why(
    front: OpenFront, workshop: Workshop, certificate: Certificate, tmp_path: Path
) -> None:
    _, port = application(workshop, "echo no disk >&2; exit 3")
    async with gated(front, workshop, certificate, tmp_path, port) as (client, _):
        told = await client.get("/")
        assert (told.status_code, told.headers["content-type"]) == (503, "application/problem+json")
        assert "no disk" in told.json()["detail"]
        assert int(told.headers["retry-after"]) >= 1
        assert told.headers["drawbridge-container"] == "failed"
        shown = await client.get("/", headers=BROWSER)
        assert (shown.status_code, "no disk" in shown.text) == (503, True)
        assert "script-src 'sha256-" in shown.headers["content-security-policy"]


async def test_without_the_key_nobody_is_let_in(
    front: OpenFront, workshop: Workshop, certificate: Certificate, tmp_path: Path
) -> None:
    container, port = application(workshop)
    async with gated(front, workshop, certificate, tmp_path, port, key="guess") as (client, _):
        assert (await client.get("/", headers={"x-api-key": KEY})).status_code == 401
        assert (await client.get("/drawbridge-gate")).status_code == 404
    assert workshop.count("start", container) == 0


async def test_without_a_gateway_the_maintenance_page_is_shown(
    front: OpenFront, certificate: Certificate, tmp_path: Path
) -> None:
    sites, listening = example(tmp_path, certificate, free_port(), KEY)
    async with (
        front("127.0.0.1:1", SITES=str(sites)) as nginx,
        site(nginx, certificate, listening) as client,
    ):
        assert (await client.get("/")).json()["title"] == "No gateway answers"
        page = await client.get("/", headers=BROWSER)
        assert (page.status_code, "The bridge is up" in page.text) == (503, True)


@pytest.mark.real("chromium")
async def test_a_real_browser_waits_and_goes_on_by_itself(
    front: OpenFront,
    workshop: Workshop,
    certificate: Certificate,
    tmp_path: Path,
    browser: Browser,
) -> None:
    _, port = application(workshop, "/bin/sleep 2; exec /bin/nginx -c /app.conf")
    async with gated(front, workshop, certificate, tmp_path, port) as (client, _):
        context = await browser.new_context(ignore_https_errors=True)
        page = await context.new_page()
        complaints: list[str] = []
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "console", lambda line: complaints.append(line.text) if "Policy" in line.text else None
        )
        shown = await page.goto(f"https://localhost:{urlsplit(str(client.base_url)).port}/d/1")
        assert shown is not None
        assert shown.status == 503
        assert await page.title() == "Waking grafana"
        await page.get_by_text("Grafana", exact=True).wait_for(timeout=30_000)
        assert re.search("GET /d/1$", await page.inner_text("body"))
        assert complaints == []
        await context.close()

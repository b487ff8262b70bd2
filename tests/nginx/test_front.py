"""What every client meets: TLS, headers, ids, limits, the log, and what is shown in need."""

from __future__ import annotations

import asyncio
import re
import ssl
import subprocess
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

import httpx
import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from app.kingdom.catalogue import OPERATIONS
from tests.gateways import Told
from tests.nginx.origins import gateway, serving
from tests.real.nginx import START, Certificate, Front, OpenFront, start_command
from tests.waiting import until

pytestmark = pytest.mark.real("nginx")

NOBODY = "127.0.0.1:1"
BROWSER = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


async def hello(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse("hello")(scope, receive, send)


def test_nginx_takes_the_configuration(tmp_path: Path, certificate: Certificate) -> None:
    settings = {"GATEWAYS": "127.0.0.1:8000,localhost:8001", "NGINX_TRUSTED_PROXIES": "10.0.0.0/8"}
    command = start_command(tmp_path, certificate, settings, "-t")
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, "test is successful" in done.stderr) == (0, True), done.stderr
    assert "[warn]" not in done.stderr


@pytest.mark.parametrize("value", ["a; return 200", 'a"', "a{", "$a", "a#"])
def test_values_cannot_add_directives(value: str, tmp_path: Path, certificate: Certificate) -> None:
    command = start_command(tmp_path, certificate, {"SERVER_NAME": value}, "-t")
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 2
    assert "not a value" in done.stderr


def test_the_upstreams_paths_are_those_of_the_catalogue() -> None:
    text = (START.parent / "gateway.conf").read_text()
    (listed,) = re.findall(r"location ~ \^/\(\?:([a-z|-]+)\)\(\?:/\|\$\)", text)
    segments = {operation.path[1:].partition("/")[0] for operation in OPERATIONS}
    assert set(listed.split("|")) == segments


def test_the_maintenance_page_may_have_its_style() -> None:
    page = (START.parent / "maintenance.html").read_text()
    (style,) = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    digest = b64encode(sha256(style.encode()).digest()).decode()
    assert f"'sha256-{digest}'" in (START.parent / "refusals.conf").read_text()
    assert not re.findall(r"""(?:src|href)=["'][^"']""", page)


async def test_tls_is_modern_and_speaks_http_2(front: OpenFront, certificate: Certificate) -> None:
    async with front(NOBODY) as nginx:
        context = certificate.context()
        context.set_alpn_protocols(["h2", "http/1.1"])
        _, writer = await asyncio.open_connection("127.0.0.1", nginx.https_port, ssl=context)
        spoken = writer.get_extra_info("ssl_object")
        assert (spoken.version(), spoken.selected_alpn_protocol()) == ("TLSv1.3", "h2")
        writer.close()
        old = certificate.context()
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        with pytest.raises(ssl.SSLError):
            await asyncio.open_connection("127.0.0.1", nginx.https_port, ssl=old)


async def test_without_tls_there_is_but_the_way_to_it(front: OpenFront) -> None:
    async with front(NOBODY) as nginx:
        sent = httpx.get(f"http://127.0.0.1:{nginx.http_port}/players?name=ada")
        assert sent.status_code == 308
        assert sent.headers["location"] == "https://127.0.0.1/players?name=ada"


async def test_every_answer_has_the_headers_once(front: OpenFront, tmp_path: Path) -> None:
    async with gateway(Told(), tmp_path) as behind, front(behind) as nginx:
        for path in ("/items", "/health", "/docs", "/metrics", "/nothing"):
            headers = (await nginx.client.get(path)).headers
            assert headers.get_list("x-content-type-options") == ["nosniff"], path
            assert headers["strict-transport-security"] == "max-age=63072000"
            assert len(headers.get_list("referrer-policy")) == 1, path
            assert len(headers.get_list("x-request-id")) == 1, path
            assert headers["server"] == "nginx"


async def test_the_request_id_is_taken_or_made(front: OpenFront, tmp_path: Path) -> None:
    async with gateway(Told(), tmp_path) as behind, front(behind) as nginx:
        asked = await nginx.client.get("/items", headers={"x-request-id": "mine-1"})
        assert asked.headers["x-request-id"] == "mine-1"
        # Kept with another's id, told with one's own.
        again = await nginx.client.get("/items", headers={"x-request-id": "mine-2"})
        assert again.headers["x-request-id"] == "mine-2"
        odd = await nginx.client.get("/nothing", headers={"x-request-id": "a b"})
        assert re.fullmatch("[0-9a-f]{32}", odd.headers["x-request-id"])
        assert odd.json()["request_id"] == odd.headers["x-request-id"]


async def test_the_log_is_json_and_knows_no_query(front: OpenFront, tmp_path: Path) -> None:
    async with gateway(Told(), tmp_path) as behind, front(behind) as nginx:
        headers = {"x-request-id": "log-1", "user-agent": 'a "quoted" one'}
        await nginx.client.get("/items?token=secret", headers=headers)
        await until(lambda: nginx.access_log.exists() and nginx.lines(), what="the line")
        (line,) = nginx.lines()
        assert (line["path"], line["status"], line["cache"]) == ("/items", 200, "MISS")
        assert (line["request_id"], line["gateway"]) == ("log-1", behind)
        assert line["user_agent"] == headers["user-agent"]
        assert "secret" not in nginx.access_log.read_text()


async def test_who_is_too_fast_is_told_so(front: OpenFront) -> None:
    async with (
        serving(hello) as behind,
        front(behind, REQUESTS_PER_SECOND="1", REQUESTS_BURST="3") as nginx,
    ):
        answers = await asyncio.gather(*(nginx.client.get('/a"b?c') for _ in range(12)))
        refused = [answer for answer in answers if answer.status_code == 429]
        assert refused
        assert {answer.status_code for answer in answers} == {200, 429}
        problem = refused[0].json()
        assert refused[0].headers["content-type"] == "application/problem+json"
        assert refused[0].headers["retry-after"] == "1"
        assert (problem["status"], problem["title"]) == (429, "You are too fast")
        assert problem["request_id"] == refused[0].headers["x-request-id"]


async def test_what_is_too_large_is_refused(front: OpenFront) -> None:
    async with serving(hello) as behind, front(behind) as nginx:
        body = await nginx.client.post("/players/multi", content=b"x" * 600_000)
        assert (body.status_code, body.json()["status"]) == (413, 413)
        url = await nginx.client.get("/items?a=" + "x" * 30_000)
        assert (url.status_code, url.json()["title"]) == (414, "The URL is too long")
        header = await nginx.client.get("/items", headers={"a": "x" * 30_000})
        assert header.status_code in (400, 494)


async def test_figures_are_not_for_everybody(front: OpenFront, tmp_path: Path) -> None:
    async with gateway(Told(), tmp_path) as behind, front(behind) as nginx:
        refused = await nginx.client.get("/metrics")
        assert (refused.status_code, refused.json()["title"]) == (403, "Not from here")


async def test_when_no_gateway_answers_people_see_a_page_and_programs_a_problem(
    front: OpenFront,
) -> None:
    async with front(NOBODY) as nginx:
        for path in ("/players", "/grafana/", "/v1/changes/stream"):
            await _refused(nginx, path)
        posted = await nginx.client.post("/players/multi", json={}, headers=BROWSER)
        assert posted.json()["title"] == "No gateway answers"


async def _refused(nginx: Front, path: str) -> None:
    page = await nginx.client.get(path, headers=BROWSER)
    assert (page.status_code, page.headers["content-type"]) == (503, "text/html")
    assert "The bridge is up" in page.text
    assert page.headers["retry-after"] == "5"
    assert "style-src 'sha256-" in page.headers["content-security-policy"]
    problem = await nginx.client.get(path)
    assert (problem.status_code, problem.headers["retry-after"]) == (503, "5")
    assert problem.headers["content-type"] == "application/problem+json"
    assert problem.headers["cache-control"] == "no-store"
    told = problem.json()
    assert set(told) == {"type", "title", "status", "detail", "instance", "request_id"}
    assert (told["status"], told["instance"]) == (503, path)


async def test_what_gateways_refuse_is_passed_on_as_it_is(front: OpenFront, tmp_path: Path) -> None:
    told = Told(status=500, body=b"broken")
    async with gateway(told, tmp_path) as behind, front(behind) as nginx:
        failed = await nginx.client.get("/items")
        assert (failed.status_code, failed.text) == (500, "broken")
        unknown = await nginx.client.get("/playerz")
        assert "Did you mean /players?" in unknown.json()["detail"]

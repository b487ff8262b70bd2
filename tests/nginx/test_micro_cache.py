"""What nginx keeps for a second, what it never keeps, and what it says of it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.gateways import Told
from tests.nginx.origins import gateway, serving
from tests.real.nginx import Front, OpenFront

pytestmark = pytest.mark.real("nginx")

PUBLIC = {"cache-control": "public, max-age=30, stale-while-revalidate=300"}
_TRIES = 50


class Origin:
    """Answers with the number of the request, and with the headers that a test wants."""

    def __init__(self, headers: dict[str, str], status: int = 200) -> None:
        self.headers = headers
        self.status = status
        self.asked = 0
        route = Route("/{path:path}", self._answer, methods=["GET", "POST"])
        self.app = Starlette(routes=[route])

    async def _answer(self, request: Request) -> Response:
        self.asked += 1
        return Response(str(self.asked), self.status, self.headers)


def told_by_nginx(answer: httpx.Response) -> str:
    return answer.headers["cache-status"].split(", ")[-1]


async def hit(nginx: Front, path: str, **headers: str) -> httpx.Response:
    """An answer that nginx had kept; what was kept may be over before the next request comes."""
    for _ in range(_TRIES):
        answer = await nginx.client.get(path, headers=headers)
        if told_by_nginx(answer) == "nginx; hit":
            return answer
    raise AssertionError(f"{path} is not kept: {answer.headers}")


async def test_many_requests_are_one_call_upstream(front: OpenFront, tmp_path: Path) -> None:
    told = Told()
    async with gateway(told, tmp_path, rate_limit="off") as behind, front(behind) as nginx:
        answers = await asyncio.gather(*(nginx.client.get("/players?name=ada") for _ in range(90)))
        assert {answer.status_code for answer in answers} == {200}
        assert told.asked == ["GET /players?name=ada"]


async def test_what_was_kept_is_told_as_such(front: OpenFront, tmp_path: Path) -> None:
    async with gateway(Told(), tmp_path) as behind, front(behind) as nginx:
        first = await nginx.client.get("/items")
        assert first.headers["cache-status"].startswith("drawbridge; fwd=uri-miss")
        assert told_by_nginx(first) == "nginx; fwd=uri-miss"
        assert "ratelimit" in first.headers
        again = await hit(nginx, "/items")
        assert again.content == first.content
        assert again.headers["cache-control"] == first.headers["cache-control"]
        assert again.headers["etag"] == first.headers["etag"]
        # They are about another client's request.
        assert not {"ratelimit", "server-timing"} & set(again.headers)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"cache-control": "no-store"},
        {"cache-control": "private, max-age=30"},
        {"cache-control": "public, max-age=0"},
        {**PUBLIC, "set-cookie": "a=b"},
        {**PUBLIC, "vary": "*"},
    ],
)
async def test_what_may_not_be_kept_is_not(front: OpenFront, headers: dict[str, str]) -> None:
    origin = Origin(headers)
    async with serving(origin.app) as behind, front(behind) as nginx:
        for number in range(1, 4):
            assert (await nginx.client.get("/items")).text == str(number)


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/items", {"cache-control": "no-cache"}, 200),
        ("/items", {"x-api-key": "k"}, 200),
        ("/items", {"authorization": "Bearer b"}, 200),
        ("/grafana/a.js", {}, 200),
        ("/health", {}, 200),
        ("/automation/containers", {}, 200),
        ("/items", {}, 404),
    ],
)
async def test_what_is_asked_for_anew_each_time(
    front: OpenFront, path: str, headers: dict[str, str], status: int
) -> None:
    origin = Origin(PUBLIC, status)
    async with serving(origin.app) as behind, front(behind) as nginx:
        for number in range(1, 4):
            assert (await nginx.client.get(path, headers=headers)).text == str(number)


async def test_a_question_by_post_is_passed_on(front: OpenFront) -> None:
    origin = Origin(PUBLIC)
    async with serving(origin.app) as behind, front(behind) as nginx:
        for number in range(1, 4):
            assert (await nginx.client.post("/players/multi", json={})).text == str(number)


async def test_pages_elsewhere_may_read_what_was_kept(front: OpenFront, tmp_path: Path) -> None:
    async with gateway(Told(), tmp_path) as behind, front(behind) as nginx:
        plain = await hit(nginx, "/items")
        assert "access-control-allow-origin" not in plain.headers
        page = await hit(nginx, "/items", origin="https://roster.example")
        assert page.headers["access-control-allow-origin"] == "*"


async def test_each_encoding_is_kept_by_itself(front: OpenFront, tmp_path: Path) -> None:
    told = Told(body=b'{"rows":[' + b",".join([b'{"name":"ada"}'] * 500) + b"]}")
    async with gateway(told, tmp_path) as behind, front(behind) as nginx:
        assert (
            "content-encoding"
            not in (await hit(nginx, "/items", **{"accept-encoding": "identity"})).headers
        )
        gzipped = await hit(nginx, "/items", **{"accept-encoding": "gzip"})
        assert (gzipped.headers["content-encoding"], gzipped.content) == ("gzip", told.body)


async def test_when_no_gateway_answers_the_last_that_was_heard_does(
    front: OpenFront, tmp_path: Path
) -> None:
    async with gateway(Told(), tmp_path) as behind:
        opened = front(behind)
        nginx = await opened.__aenter__()
        known = await nginx.client.get("/items")
    for _ in range(_TRIES):
        old = await nginx.client.get("/items")
        if told_by_nginx(old) != "nginx; hit":
            break
        await asyncio.sleep(0.1)
    assert (old.status_code, old.content) == (200, known.content)
    assert told_by_nginx(old) == "nginx; hit; detail=stale-error"
    assert "age" not in old.headers
    unknown = await nginx.client.get("/pets/7")
    assert unknown.status_code == 503
    await opened.__aexit__(None, None, None)

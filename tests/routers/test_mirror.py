"""The upstream's paths through the whole gateway, over real sockets."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import orjson
import pytest

from app.kingdom.catalogue import OPERATIONS
from app.kingdom.operation import Operation
from tests.gateways import Told, gateway_on, upstream_of


def path_of(operation: Operation) -> str:
    path = operation.path
    for name in operation.path_parameters:
        path = path.replace(f"{{{name}}}", "7")
    return path


async def test_every_operation_passes_byte_for_byte(client: httpx.AsyncClient, told: Told) -> None:
    told.content_type = "application/json; charset=utf-8; odd=1"
    for operation in OPERATIONS:
        told.body = b'{ "%s" : null , "_meta": [ 1.0 ] }\n' % operation.envelope.encode()
        path = path_of(operation)
        body = b'{"%s":["1"]}' % operation.body.name.encode() if operation.body else None
        for written in (path, path + "/"):
            response = await client.request(operation.method, written, content=body)
            assert response.status_code == 200, operation.name
            assert response.content == told.body
            assert response.headers["content-type"] == told.content_type
        assert told.asked == [f"{operation.method} {path}"]
        assert told.bodies == [body or b""]
        told.asked.clear()
        told.bodies.clear()


async def test_the_headers_of_a_miss_and_a_hit(client: httpx.AsyncClient) -> None:
    miss = await client.get("/players")
    assert miss.headers["cache-status"] == "drawbridge; fwd=uri-miss; fwd-status=200; stored"
    assert "upstream;dur=" in miss.headers["server-timing"]
    hit = await client.get("/players")
    assert hit.headers["cache-status"] in {
        f"drawbridge; hit; ttl={ttl}; detail=memory" for ttl in range(25, 34)
    }
    assert hit.headers["etag"] == miss.headers["etag"]
    assert int(hit.headers["age"]) <= 2
    # 30 seconds, a little more or less for each question: they must not all end together.
    assert hit.headers["cache-control"] in {
        f"public, max-age={age}, stale-while-revalidate=300, stale-if-error=1000000000"
        for age in range(27, 34)
    }
    assert hit.headers["server-timing"] == 'cache;desc="hit"'
    assert len(hit.headers["x-request-id"]) == 16
    assert len(hit.headers.get_list("date")) == 1


@pytest.mark.parametrize(
    "query",
    [
        "tokenIds[]=2&tokenIds[]=1",
        "tokenIds=1&tokenIds=2",
        "tokenIds%5B0%5D=1&tokenIds%5B1%5D=2",
        "tokenIds=2,1",
        "numToSkip=0&tokenIds=1,2&orderBy=id&numToFetch=1000",
        "tokenIds=1,2&utm_source=x",
    ],
)
async def test_every_spelling_of_a_question_is_one_entry(
    query: str, client: httpx.AsyncClient, told: Told
) -> None:
    await client.get("/players?tokenIds[]=1&tokenIds[]=2")
    response = await client.get(f"/players?{query}")
    assert "hit" in response.headers["cache-status"]
    assert told.asked == ["GET /players?tokenIds[]=1&tokenIds[]=2"]


async def test_unknown_parameters_are_named(client: httpx.AsyncClient, told: Told) -> None:
    response = await client.get("/orders?isBuyOrder=false&side=sell&a%0d%0ab=1")
    assert response.headers["drawbridge-ignored-parameters"] == "isBuyOrder, a%0D%0Ab"
    assert told.asked == ["GET /orders?side=sell"]


async def test_a_head_is_a_get_without_body(client: httpx.AsyncClient, told: Told) -> None:
    got = await client.get("/players")
    head = await client.head("/players/")
    assert head.status_code == 200
    assert head.content == b""
    assert head.headers["content-length"] == str(len(got.content))
    assert head.headers["etag"] == got.headers["etag"]
    assert told.asked == ["GET /players"]


@pytest.mark.parametrize("form", ["{}", "W/{}", '"other", {}', "*"])
async def test_a_body_that_the_client_has_is_not_sent_again(
    form: str, client: httpx.AsyncClient
) -> None:
    etag = (await client.get("/players")).headers["etag"]
    response = await client.get("/players", headers={"if-none-match": form.format(etag)})
    assert (response.status_code, response.content) == (304, b"")
    assert response.headers["etag"] == etag
    assert "cache-control" in response.headers


async def test_each_encoding_has_a_tag_of_its_own(client: httpx.AsyncClient, told: Told) -> None:
    told.body = b'{"rows":[' + b",".join([b'{"id":"1"}'] * 300) + b"]}"
    tags = set()
    for accept in ("identity", "zstd", "br", "gzip"):
        headers = {"accept-encoding": accept}
        response = await client.get("/players", headers=headers)
        assert response.content == told.body
        assert response.headers.get("content-encoding", "identity") == accept
        assert "Accept-Encoding" in response.headers["vary"]
        etag = response.headers["etag"]
        tags.add(etag)
        again = await client.get("/players", headers={**headers, "if-none-match": etag})
        assert (again.status_code, again.headers["etag"]) == (304, etag)
        head = await client.head("/players", headers=headers)
        assert head.headers["content-length"] == response.headers["content-length"]
    assert len(tags) == 4
    assert told.asked == ["GET /players"]


async def test_a_condition_that_fails_is_a_412(client: httpx.AsyncClient) -> None:
    response = await client.get("/players", headers={"if-match": '"other"'})
    assert response.status_code == 412
    assert response.json()["title"] == "Precondition failed"


async def test_another_body_is_sent(client: httpx.AsyncClient) -> None:
    response = await client.get("/players", headers={"if-none-match": '"other"'})
    assert response.status_code == 200


async def test_look_ups_share_an_entry_whatever_their_order(
    client: httpx.AsyncClient, told: Told
) -> None:
    first = await client.post("/players/multi", json={"owners": ["0xB", "0xa"]})
    again = await client.post("/players/multi/", json={"owners": ["0xa", "0xb", "0xA"]})
    assert (first.status_code, again.status_code) == (200, 200)
    assert "hit" in again.headers["cache-status"]
    assert told.bodies == [b'{"owners":["0xa","0xb"]}']


async def test_nothing_of_the_client_reaches_the_upstream(
    client: httpx.AsyncClient, told: Told
) -> None:
    await client.get(
        "/players",
        headers={"cookie": "a=b", "x-forwarded-for": "1.2.3.4", "accept-language": "de"},
    )
    (seen,) = told.seen_headers
    assert not {"cookie", "x-forwarded-for", "accept-language", "origin"} & set(seen)
    assert seen["user-agent"].startswith("drawbridge/")


async def test_the_upstreams_own_errors_pass_as_they_are(
    client: httpx.AsyncClient, told: Told
) -> None:
    for status, remembered in ((404, True), (422, True), (400, False), (500, False)):
        told.status, told.body = status, b'{"error":"so it is"}'
        path = f"/items/{status}"
        responses = [await client.get(path) for _ in range(2)]
        assert [response.status_code for response in responses] == [status] * 2
        assert responses[0].content == told.body
        assert told.asked.count(f"GET {path}") == (1 if remembered else 2)
        assert (responses[0].headers["cache-control"] == "no-store") is not remembered


@pytest.mark.parametrize(
    ("status", "body", "content_type"),
    [
        (200, b"<html>sorry</html>", "text/html"),
        (200, b'{"rows":[1,2', "application/json"),
        (200, b'{"error":"database"}', "application/json"),
        (503, b"{}", "application/json"),
        (302, b"", "text/plain"),
    ],
)
async def test_what_cannot_be_believed_is_a_502_and_is_not_stored(
    status: int, body: bytes, content_type: str, client: httpx.AsyncClient, told: Told
) -> None:
    told.status, told.body, told.content_type = status, body, content_type
    response = await client.get("/players")
    assert response.status_code == 502
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["title"] == "The upstream failed"
    store = (await client.get("/v1/store")).json()
    assert store["entries"] == 0


async def test_a_known_answer_outlives_the_upstream(told: Told, tmp_path: Path) -> None:
    quick = {"cache_ttl_live": 0.001, "cache_ttl_instant": 0.001}
    async with upstream_of(told) as url, gateway_on(url, tmp_path, **quick) as client:
        known = await client.get("/players")
    async with gateway_on(url, tmp_path, cache_stale_if_error="forever", **quick) as client:
        again = await client.get("/players")
        assert (again.status_code, again.content) == (200, known.content)
        unknown = await client.get("/clans")
        assert unknown.status_code == 502
        assert "Nothing is known yet" in unknown.json()["detail"]


async def test_only_if_cached_never_asks_upstream(client: httpx.AsyncClient, told: Told) -> None:
    headers = {"cache-control": "only-if-cached"}
    refused = await client.get("/players", headers=headers)
    assert (refused.status_code, refused.json()["title"]) == (504, "Not cached")
    assert told.asked == []
    await client.get("/players")
    assert (await client.get("/players", headers=headers)).status_code == 200


async def test_two_hundred_at_once_are_one_call(client: httpx.AsyncClient, told: Told) -> None:
    responses = await asyncio.gather(*(client.get("/players") for _ in range(200)))
    assert {response.status_code for response in responses} == {200}
    assert told.asked == ["GET /players"]


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("POST", "/players", "GET, HEAD, OPTIONS"),
        ("DELETE", "/players/multi", "GET, HEAD, OPTIONS, POST"),
        ("PUT", "/items/5", "GET, HEAD, OPTIONS"),
    ],
)
async def test_other_methods_are_refused(
    method: str, path: str, allow: str, client: httpx.AsyncClient
) -> None:
    response = await client.request(method, path)
    assert response.status_code == 405
    assert response.headers["allow"] == allow


async def test_options_tell_the_methods(client: httpx.AsyncClient) -> None:
    response = await client.options("/players/multi")
    assert (response.status_code, response.headers["allow"]) == (204, "GET, HEAD, OPTIONS, POST")


async def test_pages_of_other_origins_may_ask(client: httpx.AsyncClient) -> None:
    response = await client.get("/players", headers={"origin": "https://roster.example"})
    assert response.headers["access-control-allow-origin"] == "*"
    assert "Cache-Status" in response.headers["access-control-expose-headers"]
    preflight = await client.options(
        "/players/multi",
        headers={
            "origin": "https://roster.example",
            "access-control-request-method": "POST",
            "access-control-request-headers": "content-type",
        },
    )
    assert preflight.status_code == 200
    assert "POST" in preflight.headers["access-control-allow-methods"]


async def test_bad_input_is_refused_early(client: httpx.AsyncClient, told: Told) -> None:
    ten_thousand = {"owners": [f"0x{n:040x}" for n in range(10_000)]}
    attempts = [
        (await client.post("/players/multi", content=b"{"), 400),
        (await client.post("/players/multi", content=b"x" * 300_000), 413),
        (await client.post("/players/multi", json=ten_thousand), 413),
        (await client.get("/players?" + "tokenIds[]=1&" * 2000), 414),
        (await client.get("/players?tokenIds=" + ",".join(map(str, range(3000)))), 422),
        (await client.get("/players?name=%ff"), 400),
        (await client.get("/items/" + "9" * 300), 404),
    ]
    for response, status in attempts:
        assert response.status_code == status, response.text
        problem = orjson.loads(response.content)
        assert problem["status"] == status
        assert problem["detail"]
    assert told.asked == []
    assert (await client.get("/v1/store")).json()["entries"] == 0

"""The client against a server that answers as it should."""

from __future__ import annotations

import asyncio
import gzip
import math
from contextlib import AsyncExitStack

import orjson
import pytest
from structlog.testing import capture_logs

from app.errors import UpstreamImplausible, UpstreamRefused, UpstreamTimeout, UpstreamUnreachable
from app.upstream import calls as calls_module
from app.upstream.client import UpstreamClient
from app.upstream.exchange import UpstreamAnswer
from tests.upstream.conftest import ManualTime, Notes, client_of, players
from tests.upstream.scripted import ScriptedUpstream, raw, reply, until, when

ADA = b'{ "players": [ {"id": "1", "name": "Ad\xc3\xa4"} ] }\n'


async def test_an_answer_comes_byte_for_byte_with_its_status_type_and_time(
    upstream: ScriptedUpstream, client: UpstreamClient, notes: Notes
) -> None:
    upstream.plays(reply(200, ADA, content_type="application/json; charset=utf-8"))

    answer = await client.fetch(players())

    assert answer == UpstreamAnswer(200, "application/json; charset=utf-8", ADA, 0.0)
    assert notes.answers == [("players", 200)]
    assert notes.failures == []


@pytest.mark.parametrize("status", [400, 404, 405, 422, 500, 501])
async def test_the_upstreams_own_errors_come_as_they_are(
    upstream: ScriptedUpstream, client: UpstreamClient, notes: Notes, status: int
) -> None:
    upstream.plays(reply(status, b"<h1>anything \xff</h1>", content_type="text/html"))

    answer = await client.fetch(players())

    assert (answer.status, answer.content_type) == (status, "text/html")
    assert answer.body == b"<h1>anything \xff</h1>"
    assert client.status.ok
    assert len(upstream.requests) == 1
    assert notes.answers == [("players", status)]


async def test_what_is_sent_is_the_request_and_a_fixed_set_of_headers(
    upstream: ScriptedUpstream, client: UpstreamClient
) -> None:
    target = "/players/?tokenIds[]=1&tokenIds%5B%5D=2&name=a+b%20c%2C,&x="

    await client.fetch(players(target))

    (request,) = upstream.requests
    assert (request.method, request.target, request.body) == ("GET", target, b"")
    assert request.headers == {
        "host": upstream.base_url.removeprefix("http://"),
        "user-agent": "drawbridge/0 (tests)",
        "accept": "application/json",
        "accept-encoding": "gzip",
    }


async def test_a_post_carries_its_json_and_nothing_more(
    upstream: ScriptedUpstream, client: UpstreamClient
) -> None:
    await client.fetch(players("/players/multi", method="POST", body=b'{"owners":["0xab"]}'))

    (request,) = upstream.requests
    assert (request.method, request.target) == ("POST", "/players/multi")
    assert request.body == b'{"owners":["0xab"]}'
    assert request.headers["content-type"] == "application/json"


async def test_a_base_url_may_have_a_path(
    upstream: ScriptedUpstream, stack: AsyncExitStack
) -> None:
    client = await stack.enter_async_context(client_of(upstream.base_url + "/api/"))

    await client.fetch(players("/players?a=1"))

    assert upstream.requests[0].target == "/api/players?a=1"


async def test_cookies_are_neither_kept_nor_sent(
    upstream: ScriptedUpstream, stack: AsyncExitStack
) -> None:
    # By name: no cookie jar would keep one for an address.
    by_name = upstream.base_url.replace("127.0.0.1", "localhost")
    client = await stack.enter_async_context(client_of(by_name))
    upstream.plays(reply(set_cookie="session=1; Path=/"))

    await client.fetch(players())
    await client.fetch(players())

    assert "cookie" not in upstream.requests[1].headers


async def test_connections_are_kept_and_used_again(
    upstream: ScriptedUpstream, client: UpstreamClient
) -> None:
    for _ in range(5):
        await client.fetch(players())

    assert (len(upstream.requests), upstream.connections) == (5, 1)


async def test_gzip_is_undone(upstream: ScriptedUpstream, client: UpstreamClient) -> None:
    upstream.plays(reply(200, gzip.compress(ADA), content_encoding="gzip"))

    assert (await client.fetch(players())).body == ADA


async def test_a_large_body_is_believed_too(
    upstream: ScriptedUpstream, client: UpstreamClient
) -> None:
    body = orjson.dumps({"players": [{"id": str(number)} for number in range(40_000)]})
    upstream.plays(reply(200, body), reply(200, body[:-3] + b"   "))

    assert (await client.fetch(players())).body == body
    with pytest.raises(UpstreamImplausible, match="cut off"):
        await client.fetch(players())


@pytest.mark.parametrize(
    ("status", "sent", "given"),
    [
        (200, "", "application/json"),
        (404, "", "application/octet-stream"),
        (404, "text/\u00fcber", "application/octet-stream"),
        (404, "text/plain", "text/plain"),
    ],
)
async def test_a_content_type_can_always_be_sent_on(
    upstream: ScriptedUpstream, client: UpstreamClient, status: int, sent: str, given: str
) -> None:
    upstream.plays(reply(status, content_type=sent))

    assert (await client.fetch(players())).content_type == given


async def test_an_envelope_by_another_name_is_taken_and_told_of_once(
    upstream: ScriptedUpstream, client: UpstreamClient
) -> None:
    upstream.plays(reply(200, b'{"heroes":[],"_meta":[]}'))

    with capture_logs() as lines:
        await client.fetch(players())
        await client.fetch(players())
        await client.fetch(players(label="players-multi"))

    assert [(line["operation"], line["expected"], line["found"]) for line in lines] == [
        ("players", "players", "heroes"),
        ("players-multi", "players", "heroes"),
    ]


@pytest.mark.parametrize("status", [201, 204, 206, 301, 302, 304, 307])
async def test_other_statuses_are_no_answers_and_redirects_are_not_followed(
    upstream: ScriptedUpstream, client: UpstreamClient, notes: Notes, status: int
) -> None:
    head = f"HTTP/1.1 {status} X\r\nLocation: /elsewhere\r\n\r\n"
    upstream.plays(raw(head.encode(), then="close"))

    with pytest.raises(UpstreamImplausible, match=f"status {status}"):
        await client.fetch(players())
    assert len(upstream.requests) == 1
    assert notes.failures == [("players", "implausible-status")]


async def test_no_more_calls_than_slots_are_under_way(
    upstream: ScriptedUpstream, client: UpstreamClient
) -> None:
    released = asyncio.Event()
    upstream.plays(when(released, reply()))
    calls = [asyncio.create_task(client.fetch(players())) for _ in range(30)]
    await until(lambda: len(upstream.requests) == 2)
    released.set()
    await asyncio.gather(*calls)

    assert len(upstream.requests) == 30
    assert (upstream.most_at_once, upstream.connections) == (2, 2)


async def test_the_queue_for_slots_has_an_end(
    upstream: ScriptedUpstream,
    client: UpstreamClient,
    notes: Notes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(calls_module, "MOST_WAITING", 1)
    upstream.plays(raw(b"", then="hang"))
    calls = [asyncio.create_task(client.fetch(players())) for _ in range(3)]
    await until(lambda: len(upstream.requests) == 2)

    with pytest.raises(UpstreamRefused, match="too many calls are waiting"):
        await client.fetch(players())
    assert client.status.ok
    assert notes.failures == [("players", "refused")]
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)
    upstream.plays(reply())
    assert (await client.fetch(players())).status == 200


async def test_a_call_that_never_got_a_slot_says_nothing_about_the_upstream(
    upstream: ScriptedUpstream, stack: AsyncExitStack
) -> None:
    client = await stack.enter_async_context(
        client_of(upstream.base_url, timeout=0.1, max_concurrency=1)
    )
    async with client._calls._slots.take("others", background=False, late_at=math.inf):
        for _ in range(3):
            with pytest.raises(UpstreamTimeout):
                await client.fetch(players())

    assert upstream.requests == []
    assert (client.status.ok, client.status.breaker) == (True, "closed")
    assert (await client.fetch(players())).status == 200


async def test_twenty_cancelled_calls_leave_a_working_pool(
    upstream: ScriptedUpstream, client: UpstreamClient
) -> None:
    upstream.plays(raw(b"", then="hang"))
    for _ in range(10):
        calls = [asyncio.create_task(client.fetch(players())) for _ in range(2)]
        await until(lambda: upstream.open_now == 2)
        for call in calls:
            call.cancel()
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [asyncio.CancelledError] * 2
        await until(lambda: upstream.open_now == 0)

    upstream.plays(reply(200, ADA))
    answers = await asyncio.gather(*(client.fetch(players()) for _ in range(20)))

    assert {answer.body for answer in answers} == {ADA}
    assert upstream.most_at_once == 2


async def test_calls_cancelled_in_the_queue_give_their_place_back(
    upstream: ScriptedUpstream, client: UpstreamClient
) -> None:
    upstream.plays(raw(b"", then="hang"))
    calls = [asyncio.create_task(client.fetch(players())) for _ in range(20)]
    await until(lambda: len(upstream.requests) == 2)
    for call in reversed(calls):
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)

    upstream.plays(reply(200, ADA))
    assert (await client.fetch(players())).body == ADA


async def test_the_start_and_the_end_of_a_failure_are_logged_and_nothing_between(
    upstream: ScriptedUpstream, client: UpstreamClient, manual_time: ManualTime
) -> None:
    upstream.plays(reply(503))
    with capture_logs() as lines:
        for _ in range(3):
            with pytest.raises(UpstreamRefused):
                await client.fetch(players("/players?name=secret", repeatable=False))
        failing = client.status
        manual_time.now += 90
        upstream.plays(reply(200))
        await client.fetch(players())
        await client.fetch(players())

    assert (failing.ok, failing.failing_since) == (False, 1_700_001_000.0)
    assert failing.last_error == "refused: status 503"
    assert client.status.ok
    assert [line["event"] for line in lines] == ["upstream failing", "upstream recovered"]
    assert lines[1]["failed_for"] == 90.0
    assert "secret" not in str(lines)


async def test_it_is_opened_once_and_closed_once(upstream: ScriptedUpstream) -> None:
    client = client_of(upstream.base_url)
    with pytest.raises(RuntimeError, match="not open"):
        await client.fetch(players())
    async with client:
        await client.fetch(players())
        with pytest.raises(RuntimeError, match="opened before"):
            await client.__aenter__()

    await client.__aexit__(None, None, None)
    with pytest.raises(RuntimeError, match="not open"):
        await client.fetch(players())
    await until(lambda: upstream.open_now == 0)


async def test_closing_ends_the_calls_that_are_under_way(upstream: ScriptedUpstream) -> None:
    upstream.plays(raw(b"", then="hang"))
    async with client_of(upstream.base_url, max_concurrency=1) as client:
        calls = [asyncio.create_task(client.fetch(players())) for _ in range(3)]
        await until(lambda: len(upstream.requests) == 1)
        with capture_logs() as lines:
            await client.__aexit__(None, None, None)
            outcomes = await asyncio.gather(*calls, return_exceptions=True)

    assert [type(outcome) for outcome in outcomes] == [UpstreamUnreachable] * 3
    assert lines == []  # that it was left is no news of the upstream
    assert client.status.ok

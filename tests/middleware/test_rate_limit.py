"""Requests are counted by client, and refused when one has used its quota."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from app.errors import RequestRefused
from app.middleware.client_address import CLIENT, ClientAddress, parse_networks
from app.middleware.quota import ClientQuotas, parse_limits
from app.middleware.rate_limit import OUTCOME, RateLimit, admit_miss
from app.routers.problems import Problems
from app.serving import address, beside, bind
from tests.middleware.asgi import Heard, call, http_scope


class Mirror:
    """Answers from memory what it was asked before, and asks the upstream for the rest."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.known: set[str] = set()
        self.outcome_of_known = "hit"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        if path in self.known:
            scope[OUTCOME] = self.outcome_of_known
        else:
            await admit_miss(scope)
            self.asked.append(path)
            self.known.add(path)
            scope[OUTCOME] = "miss"
        await PlainTextResponse("x")(scope, receive, send)


def limited(app: Any, limit: str = "20/hour", **options: Any) -> RateLimit:
    """The layer around ``app``, at a moment that does not pass."""
    return RateLimit(app, ClientQuotas(parse_limits(limit), lambda: 1000.1), **options)


def scope_of(path: str = "/", client: str = "a") -> Scope:
    return http_scope(path, state={CLIENT: client})


async def ask(app: RateLimit, path: str = "/", client: str = "a") -> Heard:
    return await call(app, scope_of(path, client))


def left(heard: Heard) -> int:
    """The units that the answer says are left."""
    return int(heard.headers["ratelimit"].split(";")[1].removeprefix("r="))


async def hit(scope: Scope, receive: Receive, send: Send) -> None:
    scope[OUTCOME] = "hit"
    await PlainTextResponse("x")(scope, receive, send)


async def test_the_answer_says_how_the_client_stands() -> None:
    heard = await ask(limited(hit, "1200/minute"))
    assert heard.headers["ratelimit-policy"] == '"default";q=1200;w=60'
    assert heard.headers["ratelimit"] == '"default";r=1199;t=60'
    assert heard.headers["content-type"].startswith("text/plain")


async def test_of_several_limits_the_tightest_is_told() -> None:
    app = limited(hit, "5/hour; 1000/day")
    heard = await ask(app)
    assert heard.headers["ratelimit-policy"] == '"default";q=5;w=3600, "per-86400s";q=1000;w=86400'
    assert heard.headers["ratelimit"] == '"default";r=4;t=3600'


async def test_who_asks_too_much_is_refused_and_others_are_not() -> None:
    app = limited(hit, "3/hour")
    assert [left(await ask(app)) for _ in range(3)] == [2, 1, 0]
    with pytest.raises(RequestRefused) as refused:
        await ask(app)
    assert refused.value.status == 429
    assert 3600 < int(refused.value.headers["retry-after"]) <= 2 * 3600
    assert refused.value.headers["ratelimit-policy"] == '"default";q=3;w=3600'
    assert refused.value.headers["ratelimit"].startswith('"default";r=0;t=')
    assert left(await ask(app, client="b")) == 2


@pytest.mark.parametrize("path", ["/health", "/health/live", "/metrics"])
async def test_some_paths_are_not_counted(path: str) -> None:
    app = limited(hit, "1/hour", unlimited=["health", "metrics"])
    for _ in range(3):
        assert "ratelimit" not in (await ask(app, path)).headers
    assert left(await ask(app)) == 0


@pytest.mark.parametrize("path", ["/healthy", "//health", "/", "*", ""])
async def test_others_that_look_like_them_are(path: str) -> None:
    app = limited(hit, "1/hour", unlimited=["health", "metrics"])
    assert left(await ask(app, path)) == 0


async def test_other_connections_are_not_counted() -> None:
    seen: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)

    await call(limited(app), {"type": "lifespan"})
    assert seen == [{"type": "lifespan"}]


async def test_a_miss_costs_more_than_a_hit() -> None:
    app = limited(Mirror())
    assert [left(await ask(app, "/players")) for _ in range(3)] == [9, 8, 7]


async def test_misses_end_before_hits_do() -> None:
    mirror = Mirror()
    app = limited(mirror)
    await ask(app, "/known")
    for number in range(3):
        with pytest.raises(RequestRefused, match="upstream"):
            await ask(app, f"/unknown/{number}")
    assert mirror.asked == ["/known"]
    assert left(await ask(app, "/known")) == 5


async def test_many_misses_at_once_are_not_let_through_on_the_same_units() -> None:
    asked = 0

    async def slow_mirror(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal asked
        await admit_miss(scope)
        asked += 1
        await asyncio.sleep(0)
        scope[OUTCOME] = "miss"
        await PlainTextResponse("x")(scope, receive, send)

    app = limited(slow_mirror, "100/hour")
    answers = await asyncio.gather(*[ask(app) for _ in range(50)], return_exceptions=True)
    assert asked == sum(isinstance(one, Heard) for one in answers) <= 9
    assert asked > 1


async def test_one_request_pays_for_the_upstream_once() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await admit_miss(scope)
        await admit_miss(scope)
        scope[OUTCOME] = "miss"
        await PlainTextResponse("x")(scope, receive, send)

    assert left(await ask(limited(app))) == 9


async def test_a_miss_that_was_not_announced_is_charged_all_the_same() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scope[OUTCOME] = "miss"
        await PlainTextResponse("x")(scope, receive, send)

    limit = limited(app)
    assert [left(await ask(limit)) for _ in range(2)] == [9, 0]


@pytest.mark.parametrize("outcome", ["hit", "stale", "stale-error"])
async def test_who_was_given_what_is_known_pays_for_a_hit(outcome: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await admit_miss(scope)
        scope[OUTCOME] = outcome
        await PlainTextResponse("x")(scope, receive, send)

    limit = limited(app)
    assert [left(await ask(limit)) for _ in range(3)] == [19, 18, 17]


async def test_what_was_announced_is_kept_where_no_outcome_is_told() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await admit_miss(scope)
        await PlainTextResponse("x")(scope, receive, send)

    assert left(await ask(limited(app))) == 9


async def test_who_made_the_upstream_fail_has_paid_for_it() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await admit_miss(scope)
        raise ConnectionError

    limit = limited(app)
    with pytest.raises(ConnectionError):
        await ask(limit)
    with pytest.raises(RequestRefused):
        await ask(limit)


async def test_a_small_quota_leaves_room_for_one_miss() -> None:
    app = limited(Mirror(), "3/hour")
    assert left(await ask(app, "/one")) == 0
    with pytest.raises(RequestRefused):
        await ask(app, "/two")


async def test_without_limits_a_miss_is_admitted() -> None:
    await admit_miss(http_scope())


async def test_a_layer_before_this_one_may_count_hits_itself() -> None:
    app = limited(hit, "2/hour")
    assert app.take_hit("a", 0.0) == b'"default";r=1;t=3600'
    assert app.policy == (b"ratelimit-policy", b'"default";q=2;w=3600')
    assert left(await ask(app)) == 0
    assert app.take_hit("a", 0.0) is None
    with pytest.raises(RequestRefused):
        await ask(app)


@pytest.mark.parametrize("limit", ["4/hour", "100/minute", "4/hour; 1000/day"])
async def test_a_hit_is_told_the_same_by_that_layer_and_by_this_one(limit: str) -> None:
    one, other = limited(hit, limit), limited(hit, limit)
    for _ in range(5):
        told = one.take_hit("a", 1000.1)
        try:
            heard = await ask(other)
        except RequestRefused:
            assert told is None
        else:
            assert told is not None
            assert told.decode() == heard.headers["ratelimit"]


async def test_on_a_real_server_behind_a_proxy() -> None:
    app = ClientAddress(
        Problems(limited(Mirror(), unlimited=["health"])), parse_networks(["127.0.0.0/8"])
    )
    listening = bind("127.0.0.1", 0)
    async with (
        beside(listening, app),
        httpx.AsyncClient(base_url=address(listening)) as client,
    ):
        one, other = {"x-forwarded-for": "203.0.113.1"}, {"x-forwarded-for": "203.0.113.2"}
        first = await client.get("/players/1", headers=one)
        forged = {"x-forwarded-for": "198.51.100.9, 203.0.113.1"}
        refused = await client.get("/players/2", headers=forged)
        again = await client.get("/players/1", headers=one)
        stranger = await client.get("/players/1", headers=other)
        health = await client.get("/health", headers=one)
    assert first.headers["ratelimit"] == '"default";r=9;t=3600'
    assert refused.status_code == 429
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.json()["title"] == "Too many requests"
    assert int(refused.headers["retry-after"]) > 0
    assert refused.headers["ratelimit-policy"] == '"default";q=20;w=3600'
    assert (again.status_code, stranger.status_code, health.status_code) == (200, 200, 200)

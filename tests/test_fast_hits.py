"""What the fast way keeps of the ordinary one.

That the answers are the same is in ``test_fast_hits_same.py``.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import structlog
import uvicorn
from starlette.types import Receive, Send
from starlette.types import Scope as ConnectionScope
from starlette.websockets import WebSocket
from websockets.asyncio.client import connect

from app.cache.purges import Purge, Scope
from app.connections import Clients
from app.fast_hits import LONGEST, Memo, fast_protocol
from app.metrics import Metrics
from app.patience import Patience
from app.serving import address, beside, bind
from tests.fast_gateways import BODY, Doors, Watched, doors, request
from tests.gateways import Told
from tests.raw_http import Connection, connected
from tests.waiting import until

PLAIN = request()


def clients() -> Clients:
    return Clients(100, Patience(), Metrics())


@pytest.fixture
async def opened(tmp_path: Path) -> AsyncIterator[Doors]:
    async with doors(tmp_path) as both:
        yield both


async def fast(opened: Doors, asked: bytes, connection: Connection) -> bool:
    """Whether a request is answered by what the memo knows."""
    before, cycle = opened.memo.found, opened.protocols[-1].cycle
    await connection.ask(asked)
    return opened.memo.found > before and opened.protocols[-1].cycle is cycle


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        (PLAIN, True),
        (request(method="HEAD"), True),
        (request("/players?unknown=1"), True),
        (request("/players", "Accept-Encoding: gzip"), True),
        (request("/players", "If-None-Match: *"), True),
        (request("/players", "X-Request-ID: mine"), True),
        (request("/players", "Connection: keep-alive"), True),
        (request("/players", "Connection: upgrade", "Upgrade: h2c"), False),
        (request("/players", "Origin: https://roster.example"), False),
        (request("/players", "Cache-Control: no-cache"), False),
        (request("/players", 'If-Match: "x"'), False),
        (request("/players", "Content-Length: 0"), False),
        (request("/players", "Cookie: " + "x" * LONGEST), False),
        (request("/health/live"), False),
        (PLAIN + PLAIN, False),
    ],
)
async def test_what_is_answered_fast(opened: Doors, asked: bytes, wanted: bool) -> None:
    async with connected(opened.fast) as connection:
        for _ in range(2):
            await connection.ask(asked)
            if asked == PLAIN + PLAIN:
                await connection.answer(b"GET")
        if b"Upgrade" not in asked:
            assert await fast(opened, asked, connection) is wanted
    assert (asked in opened.memo.requests()) is wanted


async def test_a_request_in_pieces_is_not_learnt_and_does_not_meet_the_memo(opened: Doors) -> None:
    await opened.learn(PLAIN)
    async with connected(opened.fast) as connection:
        for at in range(1, len(PLAIN)):
            await connection.send(PLAIN[:at])
            await until(lambda: opened.protocols[-1]._reading)
            await connection.send(PLAIN[at:])
            assert (await connection.answer(b"GET")).status == 200
    assert list(opened.memo.requests()) == [PLAIN]


async def test_known_bytes_within_a_body_are_a_body(opened: Doors) -> None:
    await opened.learn(PLAIN)
    head = request("/players/multi", f"Content-Length: {len(PLAIN)}", method="POST")
    async with connected(opened.fast) as connection:
        await connection.send(head)
        await until(lambda: opened.protocols[-1]._reading)
        await connection.send(PLAIN)
        assert (await connection.answer(b"POST")).status == 400
        assert await fast(opened, PLAIN, connection)


async def test_a_purge_between_two_requests_is_seen(opened: Doors) -> None:
    await opened.learn(PLAIN)
    async with connected(opened.fast) as connection:
        assert await fast(opened, PLAIN, connection)
        opened.told.body = b'{"players":[]}'
        opened.runtime.cache.purge(Purge(Scope.ALL, "", opened.runtime.cache._wall(), hard=True))
        answer = await connection.ask(PLAIN)
    assert answer.body == opened.told.body
    assert "fwd=uri-miss" in answer.field("cache-status")


async def test_what_memory_gave_up_is_forgotten(opened: Doors) -> None:
    await opened.learn(PLAIN)
    opened.runtime.cache.memory.clear()
    async with connected(opened.fast) as connection:
        assert not await fast(opened, PLAIN, connection)
    assert not opened.memo.requests()


async def test_a_stale_answer_is_given_and_refreshed_behind(tmp_path: Path) -> None:
    async with doors(tmp_path, cache_ttl_live="30ms") as opened:
        await opened.learn(PLAIN)
        calls = len(opened.told.asked)
        async with connected(opened.fast) as connection:
            async with asyncio.timeout(20):
                while len(opened.told.asked) == calls:
                    assert (await connection.ask(PLAIN)).status == 200


async def test_who_used_the_quota_gets_the_same_refusal(tmp_path: Path) -> None:
    async with doors(tmp_path, rate_limit="30/hour") as opened:
        async with connected(opened.fast) as connection:
            answers = [await connection.ask(PLAIN) for _ in range(21)]
        async with connected(opened.ordinary) as connection:
            other = await connection.ask(PLAIN)
    left = [int(one.field("ratelimit").split(";")[1][2:]) for one in answers]
    assert [one.status for one in answers] == [200] * 20 + [429]
    assert left == [*range(19, -1, -1), 0]
    assert answers[-1].masked() == other.masked()


async def test_clients_behind_a_trusted_proxy_are_told_apart(tmp_path: Path) -> None:
    async with doors(tmp_path, rate_limit="30/hour", trusted_proxies="127.0.0.0/8") as opened:
        one, other = (request("/players", f"X-Forwarded-For: 203.0.113.{n}") for n in (1, 2))
        async with connected(opened.fast) as connection:
            mine = [await connection.ask(one) for _ in range(4)]
            theirs = [await connection.ask(other) for _ in range(2)]
    assert mine[-1].field("ratelimit").startswith('"default";r=16;')
    assert theirs[-1].field("ratelimit").startswith('"default";r=28;')


async def test_hits_are_counted_and_logged(tmp_path: Path) -> None:
    async with doors(tmp_path, access_log=True) as opened:
        asked = request("/players?x=1", "X-Request-ID: mine", "Accept-Encoding: gzip")
        with structlog.testing.capture_logs() as lines:
            await opened.learn(asked)
        text = opened.runtime.metrics.render().decode()
    logged = [line for line in lines if line["event"] == "request"]
    assert opened.memo.found == 1
    assert len(logged) == 3
    for line in logged:
        assert isinstance(line.pop("ms"), float)
    assert logged[0] == logged[1] == logged[2]
    assert logged[2]["request_id"] == "mine"
    assert (logged[2]["path"], logged[2]["client"]) == ("/players", "127.0.0.1")
    assert 'drawbridge_requests_total{method="GET",route="/players",status="200"} 3.0' in text
    assert 'drawbridge_request_seconds_count{route="/players"} 3.0' in text
    assert 'drawbridge_cache_requests_total{outcome="hit",tier="memory"} 2.0' in text


async def test_a_request_keeps_its_id_or_gets_one_of_its_own(opened: Doors) -> None:
    mine = request("/players", "X-Request-ID: mine")
    await opened.learn(mine, PLAIN)
    async with connected(opened.fast) as connection:
        assert (await connection.ask(mine)).field("x-request-id") == "mine"
        made = {(await connection.ask(PLAIN)).field("x-request-id") for _ in range(50)}
    assert len(made) == 50


async def test_an_idle_connection_is_closed_also_if_it_had_nothing_but_hits(opened: Doors) -> None:
    await opened.learn(PLAIN)
    opened.keep_alive = 0
    async with connected(opened.fast) as connection:
        assert await fast(opened, PLAIN, connection)
        async with asyncio.timeout(20):
            assert await connection.reader.read() == b""


async def test_a_hit_keeps_a_connection_open(opened: Doors) -> None:
    await opened.learn(PLAIN)
    async with connected(opened.fast) as connection:
        assert await fast(opened, PLAIN, connection)
        [*_, protocol] = opened.protocols
        first = protocol.timeout_keep_alive_task
        assert first is not None
        assert await fast(opened, PLAIN, connection)
        assert protocol.timeout_keep_alive_task is first
        protocol.timeout_keep_alive_handler()  # as if the time of the first hit were over
        assert protocol.timeout_keep_alive_task is not first
        assert await fast(opened, PLAIN, connection)
        protocol._hit_at -= 60
        protocol.timeout_keep_alive_handler()
        async with asyncio.timeout(20):
            assert await connection.reader.read() == b""


async def test_a_purge_by_key_is_seen_by_the_next_and_disturbs_no_other(opened: Doors) -> None:
    clans = request("/clans")
    await opened.learn(PLAIN, clans)
    async with connected(opened.fast) as connection:
        for _ in range(5):
            assert await fast(opened, PLAIN, connection)
            assert await fast(opened, clans, connection)
        opened.told.body = b'{"players":[]}'
        opened.purge("/players")
        assert await fast(opened, clans, connection)
        assert (await connection.ask(PLAIN)).body == opened.told.body
        assert (await connection.ask(clans)).body == BODY


async def test_a_server_that_stops_leaves_no_answer_half_given(tmp_path: Path) -> None:
    async def ask(port: int) -> int:
        count = 0
        async with connected(port) as connection:
            try:
                while True:
                    assert (await connection.ask(PLAIN)).body == BODY
                    count += 1
            except (EOFError, ConnectionError):
                return count

    async with doors(tmp_path) as opened:
        await opened.learn(PLAIN)
        asking = [asyncio.create_task(ask(opened.fast)) for _ in range(20)]
        await until(lambda: opened.memo.found > 1000)
    assert sum(await asyncio.gather(*asking)) > 500


async def test_a_million_different_requests_leave_no_more_than_the_memo_may_have(
    tmp_path: Path,
) -> None:
    memo = Watched(50, 4000)
    async with doors(tmp_path, memo) as opened, connected(opened.fast) as connection:
        for number in range(300):
            await connection.ask(request("/players", f"User-Agent: {'x' * (number % 7)}{number}"))
            assert memo.size == sum(map(len, memo.requests())) <= 4000
            assert len(memo) <= 50
        assert len(memo) > 30
        assert len(opened.told.asked) == 1


def test_the_memo_forgets_the_oldest_and_does_not_grow_by_learning_again() -> None:
    memo = Memo(2, 100)
    known: Any = SimpleNamespace()
    for name in (b"a", b"b", b"b", b"c"):
        memo.learn(name, known)
    assert list(memo.requests()) == [b"b", b"c"]
    memo.learn(b"d" * 99, known)
    assert list(memo.requests()) == [b"c", b"d" * 99]
    memo.forget(b"no such")
    memo.forget(b"c")
    assert (len(memo), memo.size) == (1, 99)


async def test_without_a_memory_of_requests_uvicorn_is_as_it_was() -> None:
    told = Told()
    assert told.asked == []
    listening = bind("127.0.0.1", 0)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    memo = Watched()
    protocol = fast_protocol((), clients(), memo)
    async with beside(listening, app, protocol), connected(listening.getsockname()[1]) as one:
        for _ in range(3):
            assert (await one.ask(PLAIN)).status == 204
    assert len(memo) == 0


def test_another_uvicorn_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uvicorn, "__version__", "1.2.3")
    with structlog.testing.capture_logs() as lines:
        assert fast_protocol((), clients()) is None
    [line] = lines
    assert line["log_level"] == "warning"
    assert "1.2.3" in line["reason"]


async def test_a_websocket_is_carried_as_without_it() -> None:
    async def echo(scope: ConnectionScope, receive: Receive, send: Send) -> None:
        socket = WebSocket(scope, receive, send)
        await socket.accept()
        await socket.send_text(await socket.receive_text())
        await socket.close()

    listening = bind("127.0.0.1", 0)
    url = address(listening).replace("http", "ws", 1)
    async with beside(listening, echo, fast_protocol((), clients())), connect(url) as client:
        await client.send("hello")
        assert await client.recv() == "hello"

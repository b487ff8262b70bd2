"""The client against everything that a server, or the way to it, can do wrong."""

from __future__ import annotations

import asyncio
import gzip
import socket
import ssl
from contextlib import AsyncExitStack

import aiohttp
import pytest
from aiohttp import client_exceptions, http_exceptions

from app.errors import (
    UpstreamError,
    UpstreamImplausible,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from app.upstream import client as client_module
from app.upstream.client import UpstreamClient, foreign_errors
from tests.upstream.conftest import Notes, client_of, players
from tests.upstream.scripted import Play, ScriptedUpstream, Wire, raw, reply, stream, until

ADA = b'{"players":[{"id":"1"}]}'
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
BOMB = gzip.compress(b'{"players":["' + b"0" * 5_000_000 + b'"]}')

BROKEN = {
    "body cut off": raw(HEAD + b"Content-Length: 999\r\n\r\n" + ADA, then="close"),
    "body reset": raw(HEAD + b"Content-Length: 999\r\n\r\n" + ADA, then="reset"),
    "no last chunk": raw(CHUNKED + b"18\r\n" + ADA + b"\r\n", then="close"),
    "chunk cut off": raw(CHUNKED + b"ff\r\n" + ADA, then="close"),
    "reset before the head": raw(b"", then="reset"),
    "closed before the head": raw(b"", then="close"),
    "closed in the head": raw(HEAD, then="close"),
}

IMPLAUSIBLE = {
    "a page": reply(200, b"<!DOCTYPE html><h1>Soon back</h1>", content_type="text/html"),
    "an error inside": reply(200, b'{"error":"indexer is down"}'),
    "nothing": reply(200, b""),
    "ends too early, says so": raw(HEAD + b"Content-Length: 10\r\n\r\n" + ADA),
    "until the end, cut off": raw(HEAD + b"\r\n" + ADA[:-4], then="close"),
    "not HTTP": raw(b"SSH-2.0-OpenSSH_9.2\r\n\r\n", then="close"),
    "bad chunk size": raw(CHUNKED + b"zz\r\n" + ADA + b"\r\n0\r\n\r\n", then="close"),
    "two lengths": raw(HEAD + b"Content-Length: 3\r\nContent-Length: 24\r\n\r\n" + ADA),
    "endless head": stream(HEAD, b"X-More: " + b"x" * 4000 + b"\r\n"),
    "too large": reply(200, b'{"players":["' + b"x" * 1_000_000 + b'"]}'),
    "endless": stream(HEAD + b"\r\n", b" " * 65536),
    "endless chunks": stream(CHUNKED, b"8\r\n        \r\n" * 1000),
    "too large, by a lie": stream(HEAD + b"Content-Length: 99999999999\r\n\r\n", b" " * 65536),
    "gzip cut off": reply(200, gzip.compress(ADA)[:-4], content_encoding="gzip"),
    "gzip bomb": reply(200, BOMB, content_encoding="gzip"),
    "not gzip": reply(200, ADA, content_encoding="gzip"),
    "brotli": reply(200, b"\x0b\x02\x80", content_encoding="br"),
}

KINDS = {
    "a page": "html",
    "an error inside": "error-object",
    "nothing": "empty",
    "ends too early, says so": "http",
    "until the end, cut off": "cut-off",
    "not HTTP": "http",
    "bad chunk size": "http",
    "two lengths": "http",
    "endless head": "http",
    "too large": "too-large",
    "endless": "too-large",
    "endless chunks": "too-large",
    "too large, by a lie": "too-large",
    "gzip cut off": "cut-off",
    "gzip bomb": "too-large",
    "not gzip": "gzip",
    "brotli": "encoding",
}


@pytest.mark.parametrize("play", BROKEN.values(), ids=BROKEN.keys())
async def test_a_connection_that_breaks_is_tried_three_times_and_no_more(
    upstream: ScriptedUpstream, client: UpstreamClient, notes: Notes, play: Play
) -> None:
    upstream.plays(play)

    with pytest.raises(UpstreamUnreachable):
        await client.fetch(players())

    assert (len(upstream.requests), upstream.connections) == (3, 3)
    assert notes.failures == [("players", "unreachable")] * 3
    assert not client.status.ok


@pytest.mark.parametrize("play", BROKEN.values(), ids=BROKEN.keys())
async def test_one_that_broke_once_is_not_noticed(
    upstream: ScriptedUpstream, client: UpstreamClient, play: Play
) -> None:
    upstream.plays(play, reply(200, ADA))

    assert (await client.fetch(players())).body == ADA
    assert client.status.ok


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_what_may_not_be_repeated_is_sent_once(
    upstream: ScriptedUpstream, client: UpstreamClient, method: str
) -> None:
    upstream.plays(raw(b"", then="reset"))

    with pytest.raises(UpstreamUnreachable):
        await client.fetch(players(method=method, repeatable=False))
    assert len(upstream.requests) == 1


@pytest.mark.parametrize("name", IMPLAUSIBLE.keys())
async def test_what_cannot_be_believed_is_not_returned_and_not_asked_again(
    upstream: ScriptedUpstream, client: UpstreamClient, notes: Notes, name: str
) -> None:
    upstream.plays(IMPLAUSIBLE[name])

    with pytest.raises(UpstreamImplausible):
        await client.fetch(players())

    assert len(upstream.requests) == 1
    assert notes.failures == [("players", f"implausible-{KINDS[name]}")]
    assert notes.answers == []
    upstream.plays(reply(200, ADA))
    assert (await client.fetch(players())).body == ADA


@pytest.mark.parametrize("name", ["endless", "endless chunks", "too large, by a lie"])
async def test_the_connection_of_an_endless_body_is_dropped(
    upstream: ScriptedUpstream, client: UpstreamClient, name: str
) -> None:
    upstream.plays(IMPLAUSIBLE[name])

    with pytest.raises(UpstreamImplausible, match="larger than 1000000 bytes"):
        await client.fetch(players())
    await until(lambda: upstream.open_now == 0)


HANGS = {
    "before the head": raw(b"", then="hang"),
    "in the head": raw(HEAD, then="hang"),
    "in the body": raw(HEAD + b"Content-Length: 999\r\n\r\n" + ADA, then="hang"),
    "one byte at a time": stream(HEAD + b"\r\n", b" ", pause=0.01),
    "a body without an end": raw(HEAD + b"\r\n" + ADA, then="hang"),
}


@pytest.mark.parametrize("play", HANGS.values(), ids=HANGS.keys())
async def test_a_server_that_hangs_is_left_at_the_deadline_and_not_asked_twice(
    upstream: ScriptedUpstream,
    stack: AsyncExitStack,
    notes: Notes,
    play: Play,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # On a busy machine the connecting may take long, which would be another case than this.
    monkeypatch.setattr(client_module, "SHARE_TO_CONNECT", 1.0)
    client = await stack.enter_async_context(
        client_of(upstream.base_url, timeout=0.25, observer=notes)
    )
    upstream.plays(play)

    with pytest.raises(UpstreamTimeout, match=r"within 0\.25 s"):
        await client.fetch(players())

    assert len(upstream.requests) == 1
    assert notes.failures == [("players", "timeout")]
    assert (client.status.ok, client.status.last_error) == (
        False,
        "timeout: no whole answer within 0.25 s",
    )
    await until(lambda: upstream.open_now == 0)


async def test_a_connection_that_does_not_stand_in_time_is_tried_again(
    upstream: ScriptedUpstream, stack: AsyncExitStack
) -> None:
    # The server takes the connection and waits for a request; the client waits for TLS.
    client = await stack.enter_async_context(
        client_of(upstream.base_url.replace("http:", "https:"), timeout=1.0)
    )

    with pytest.raises(UpstreamTimeout, match="no connection in time"):
        await client.fetch(players())
    assert upstream.connections == 2


async def test_a_port_where_nobody_listens(stack: AsyncExitStack, notes: Notes) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        client = await stack.enter_async_context(
            client_of(f"http://127.0.0.1:{port}", observer=notes)
        )

        with pytest.raises(UpstreamUnreachable) as failure:
            await client.fetch(players("/players?name=secret"))

    assert notes.failures == [("players", "unreachable")] * 3
    assert "secret" not in failure.value.detail


async def test_a_connection_closed_while_it_was_idle_is_not_an_error(
    upstream: ScriptedUpstream, client: UpstreamClient
) -> None:
    upstream.plays(raw(HEAD + b"Content-Length: 24\r\n\r\n" + ADA, then="close"))
    for _ in range(5):
        assert (await client.fetch(players())).body == ADA
        await until(lambda: upstream.open_now == 0)
    assert upstream.connections == 5


async def test_a_connection_closed_just_when_it_is_used_again_is_not_an_error(
    upstream: ScriptedUpstream, client: UpstreamClient
) -> None:
    upstream.plays(reply(200, ADA), raw(b"", then="reset"), reply(200, ADA))

    await client.fetch(players())
    assert (await client.fetch(players(method="POST", body=b"{}"))).body == ADA
    assert [request.method for request in upstream.requests] == ["GET", "POST", "POST"]


STRAY = {
    "an answer": HEAD + b"Content-Length: 21\r\n\r\n" + b'{"players":["stray"]}',
    "half an answer": HEAD,
    "no answer at all": b"stray",
}


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("stray", STRAY.values(), ids=STRAY.keys())
async def test_what_nobody_asked_for_never_answers_the_next_call(
    upstream: ScriptedUpstream,
    client: UpstreamClient,
    stack: AsyncExitStack,
    stray: bytes,
    late: bool,
) -> None:
    released, sent = asyncio.Event(), asyncio.Event()

    async def answer_and_more(wire: Wire) -> bool:
        answer = HEAD + b"Content-Length: 24\r\n\r\n" + ADA
        await wire.send(answer if late else answer + stray)
        await released.wait()
        await wire.send(stray if late else b"")
        sent.set()
        return True

    upstream.plays(answer_and_more, reply(200, b'{"players":[]}'))
    (first,) = await asyncio.gather(client.fetch(players()), return_exceptions=True)
    released.set()
    await sent.wait()
    # A whole call of another client, so that the stray bytes have come before the next of ours.
    other = await stack.enter_async_context(client_of(upstream.base_url))
    await other.fetch(players())
    answers = [await client.fetch(players()) for _ in range(2)]

    if isinstance(first, BaseException):
        assert isinstance(first, UpstreamImplausible)
    else:
        assert first.body == ADA
    assert [answer.body for answer in answers] == [b'{"players":[]}'] * 2


async def test_the_loop_is_free_while_a_large_body_is_judged(
    client: UpstreamClient,
) -> None:
    body = b'{"players":[' + b",".join([b'{"id":"1"}'] * 80_000) + b"]}"
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    await client._believe(players(), body)
    counting.cancel()

    assert turns >= len(body) // 100_000


def every_client_exception() -> list[type[Exception]]:
    names = {*client_exceptions.__all__, "TooManyRedirects", "UnixClientConnectorError"}
    return [
        getattr(client_exceptions, name)
        for name in sorted(names)
        # A TypeError about web sockets, of which this client opens none.
        if name != "WSMessageTypeError"
    ]


@pytest.mark.parametrize(
    "foreign",
    [
        *every_client_exception(),
        http_exceptions.HttpProcessingError,
        http_exceptions.TransferEncodingError,
        http_exceptions.ContentLengthError,
        http_exceptions.LineTooLong,
        http_exceptions.BadStatusLine,
        asyncio.TimeoutError,
        TimeoutError,
        socket.gaierror,
        ConnectionResetError,
        BrokenPipeError,
        ssl.SSLError,
        ssl.SSLCertVerificationError,
        OSError,
    ],
)
def test_every_foreign_error_becomes_one_of_ours(foreign: type[Exception]) -> None:
    error = foreign.__new__(foreign)

    with pytest.raises(UpstreamError) as ours, foreign_errors():
        raise error

    assert ours.value.__cause__ is error
    assert isinstance(ours.value, UpstreamTimeout) == isinstance(error, TimeoutError)


def test_every_exception_that_aiohttp_exports_is_in_the_table() -> None:
    exported = {
        value
        for value in vars(aiohttp).values()
        if isinstance(value, type) and issubclass(value, Exception)
    }

    unknown = exported - set(every_client_exception())

    assert {kind.__name__ for kind in unknown} <= {
        "BadContentDispositionHeader",
        "BadContentDispositionParam",
        "EofStream",
        "InvalidURL",
        "PayloadEncodingError",
        "WSMessageTypeError",
        "WebSocketError",
    }

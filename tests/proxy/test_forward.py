"""Requests through the front to a real server and back, byte for byte and piece by piece."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from app.proxy.forward import Forwarder
from app.proxy.target import Target, Unanswered
from app.serving import bind
from tests.middleware.asgi import http_scope
from tests.proxy.conftest import Fronted


class Echo:
    """Remembers what it was asked, and answers as it is told."""

    def __init__(self, response: Response | None = None) -> None:
        self.response = response or Response("here", headers={"x-mark": "1"})
        self.asked: list[tuple[str, str, list[tuple[bytes, bytes]], bytes]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        request = Request(scope, receive)
        target = scope["raw_path"].decode() + "?" + scope["query_string"].decode()
        self.asked.append((request.method, target, scope["headers"], await request.body()))
        await self.response(scope, receive, send)


async def test_a_request_arrives_as_it_was_sent(fronted: Fronted) -> None:
    app = Echo()
    async with fronted(app) as base, httpx.AsyncClient() as client:
        answer = await client.request(
            "PATCH", base + "/a%2Fb/%20?x=1&x=%C3%A4", content=b"body", headers={"x-own": "7"}
        )
    [(method, target, headers, body)] = app.asked
    assert (method, target, body) == ("PATCH", "/a%2Fb/%20?x=1&x=%C3%A4", b"body")
    told = dict(headers)
    assert told[b"x-own"] == b"7"
    assert told[b"host"] == base.removeprefix("http://").encode()
    assert told[b"x-forwarded-for"] == b"10.0.0.9"
    assert told[b"x-request-id"] == b"an-id"
    assert (answer.status_code, answer.text, answer.headers["x-mark"]) == (200, "here", "1")


async def test_nothing_is_said_that_the_client_did_not_say(fronted: Fronted) -> None:
    app = Echo()
    async with fronted(app) as base:
        port = int(base.rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 200")
        writer.close()
    names = {name for name, _ in app.asked[0][2]}
    assert names == {
        b"host", b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"x-request-id",
    }  # fmt: skip


async def test_an_upload_is_passed_on_while_it_comes(fronted: Fronted) -> None:
    app = Echo()

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b"x" * 50_000

    async with fronted(app) as base, httpx.AsyncClient() as client:
        await client.post(base, content=pieces())
    assert len(app.asked[0][3]) == 2_000_000


@pytest.mark.parametrize(
    "response",
    [
        Response(gzip.compress(b"x" * 999), headers={"content-encoding": "gzip"}),
        Response(None, 204),
        Response(None, 304, {"etag": '"x"'}),
        Response("no", 404),
        Response(b"y" * 1_000_000),
        RedirectResponse("/elsewhere"),
    ],
    ids=["gzip", "204", "304", "404", "large", "redirect"],
)
async def test_an_answer_comes_back_as_it_was(fronted: Fronted, response: Response) -> None:
    async with (
        fronted(Echo(response)) as base,
        httpx.AsyncClient() as client,
        client.stream("GET", base) as answer,
    ):
        raw = b"".join([piece async for piece in answer.aiter_raw()])
    assert (answer.status_code, raw) == (response.status_code, response.body)
    for name in ("etag", "location", "content-encoding"):
        assert answer.headers.get(name) == response.headers.get(name)


async def test_head_has_the_length_and_no_body(fronted: Fronted) -> None:
    async with fronted(Echo()) as base, httpx.AsyncClient() as client:
        answer = await client.head(base)
        assert (answer.headers["content-length"], answer.content) == ("4", b"")
        assert (await client.get(base)).text == "here"


async def test_every_cookie_comes_back_and_none_is_kept(fronted: Fronted) -> None:
    response = Response()
    response.set_cookie("a", "1")
    response.set_cookie("b", "2")
    app = Echo(response)
    async with fronted(app) as base, httpx.AsyncClient() as client:
        assert len((await client.get(base)).headers.get_list("set-cookie")) == 2
        client.cookies.clear()
        await client.get(base)
    assert not [name for name, _ in app.asked[1][2] if name == b"cookie"]


class Stream:
    """Sends what is put in, and notes when nobody reads on."""

    def __init__(self) -> None:
        self.pieces: asyncio.Queue[bytes] = asyncio.Queue()
        self.left = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await StreamingResponse(self._flow())(scope, receive, send)
        finally:
            self.left.set()

    async def _flow(self) -> AsyncIterator[bytes]:
        while piece := await self.pieces.get():
            yield piece


async def test_a_stream_comes_piece_by_piece_and_ends_with_the_client(fronted: Fronted) -> None:
    app = Stream()
    async with fronted(app) as base, httpx.AsyncClient() as client:
        async with client.stream("GET", base) as answer:
            arriving = answer.aiter_raw()
            for piece in (b"one", b"two"):
                app.pieces.put_nowait(piece)
                assert await anext(arriving) == piece
        async with asyncio.timeout(5):
            await app.left.wait()


async def test_a_client_that_leaves_before_the_answer_is_not_worked_for(fronted: Fronted) -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        assert (await receive())["type"] == "http.request"
        begun.set()
        assert (await receive())["type"] == "http.disconnect"
        ended.set()

    async with fronted(slow) as base:
        port = int(base.rpartition(":")[2])
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        async with asyncio.timeout(5):
            await begun.wait()
            writer.close()
            await ended.wait()


async def test_an_answer_that_breaks_off_is_seen_to_be_incomplete() -> None:
    async def half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfive!")
        writer.close()

    server = await asyncio.start_server(half, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with Forwarder(silence=5.0) as forwarder, server:

        async def front(scope: Scope, receive: Receive, send: Send) -> None:
            await forwarder.forward(Target("127.0.0.1", port, "c", None), scope, receive, send)

        with pytest.raises(ConnectionAbortedError):
            await called(front)


async def test_nobody_there_is_told_before_anything_is_sent() -> None:
    listening = bind("127.0.0.1", 0)
    port = listening.getsockname()[1]
    listening.close()
    async with Forwarder(silence=5.0) as forwarder:

        async def front(scope: Scope, receive: Receive, send: Send) -> None:
            await forwarder.forward(Target("127.0.0.1", port, "c", None), scope, receive, send)

        with pytest.raises(Unanswered):
            await called(front)


async def test_a_server_that_says_nothing_is_given_up() -> None:
    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(mute, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with Forwarder(silence=0.1) as forwarder, server:

        async def front(scope: Scope, receive: Receive, send: Send) -> None:
            await forwarder.forward(Target("127.0.0.1", port, "c", None), scope, receive, send)

        with pytest.raises(Unanswered):
            await called(front)


async def test_many_at_once_do_not_mix(fronted: Fronted) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await Response(scope["path"])(scope, receive, send)

    async with fronted(app) as base, httpx.AsyncClient() as client:
        answers = await asyncio.gather(*(client.get(f"{base}/{n}") for n in range(60)))
    assert [answer.text for answer in answers] == [f"/{n}" for n in range(60)]


async def called(app: ASGIApp) -> None:
    """Ask it as a client that stays."""
    asked = asyncio.Event()

    async def receive() -> dict[str, object]:
        if asked.is_set():
            await asyncio.Event().wait()
        asked.set()
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(_: object) -> None:
        return

    await app(http_scope("/", scheme="http"), receive, send)

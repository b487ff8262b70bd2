"""The fast way and the ordinary one give the same, whatever is sent and however.

By default a few thousand requests; ``FAST_HITS_REQUESTS=50000`` sends as many as one likes.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from tests.fast_gateways import Doors, doors, request
from tests.raw_http import Malformed, connected, converse

REQUESTS = int(os.environ.get("FAST_HITS_REQUESTS", "4000"))
TARGETS = (
    "/players",
    "/players/",
    "/clans",
    "/players?x=1&numToSkip=0",
    "/nowhere",
    "/items/404",
    "/health/live",
    "http://other.example/players",
    "//players",
    "/pl%61yers",
    "*",
)
FIELDS = (
    "Accept-Encoding: gzip",
    "accept-encoding:br;q=0.5, gzip",
    "ACCEPT-ENCODING:   zstd  ",
    "Accept-Encoding: *",
    "Accept-Encoding: gzip;q=0",
    "Accept-Encoding:",
    'If-None-Match: "x"',
    "If-None-Match: *",
    "If-None-Match: TAG",
    'if-none-match: W/TAG, "y"',
    "If-Match: *",
    "Cache-Control: no-cache",
    "Cache-Control: only-if-cached",
    "Origin: https://roster.example",
    "X-Request-ID: mine-1",
    "X-Request-ID: not decent",
    "X-Forwarded-For: 203.0.113.9",
    "Forwarded: for=203.0.113.9",
    "User-Agent: curl/8",
    "Cookie: a=b",
    "Connection: keep-alive",
    "Connection: close",
    "Connection: upgrade",
    "Upgrade: h2c",
    "Expect: 100-continue",
    "Content-Length: 0",
    "Range: bytes=0-3",
    "Host: another.example",
    "Empty:",
    "Odd:\tvalue\t",
)
METHODS = ("GET",) * 24 + ("HEAD",) * 6 + ("OPTIONS", "POST", "DELETE", "BREW")
SPLIT, PIPELINED = 0.15, 0.1

Step = tuple[Sequence[bytes], Sequence[bytes]]


@pytest.fixture
async def both(tmp_path: Path) -> AsyncIterator[Doors]:
    async with doors(tmp_path, cache_ttl_live="1h", cache_ttl_slow="1h") as opened:
        for target in TARGETS:
            opened.told.status = 404 if "404" in target else 200
            for encoding in ("identity", "gzip", "br", "zstd"):
                asked = request(target, f"Accept-Encoding: {encoding}", "Connection: close")
                await converse(opened.ordinary, [([asked], [b"GET"])])
        yield opened


async def tag_of(opened: Doors) -> str:
    async with connected(opened.ordinary) as connection:
        return (await connection.ask(request("/players"))).field("etag")


def some_requests(rng: random.Random, tag: str, count: int) -> list[bytes]:
    """Simple ones and strange ones."""
    made = []
    for _ in range(count):
        fields = rng.sample(FIELDS, rng.choice((0, 0, 0, 1, 1, 1, 2, 3)))
        version = rng.choice(("1.1",) * 30 + ("1.0",))
        words = [field.replace("TAG", tag) for field in fields]
        one = request(
            rng.choice(TARGETS[:3] * 3 + TARGETS),
            *words,
            method=rng.choice(METHODS),
            version=version,
        )
        made.append(rng.choice((b"",) * 20 + (b"\r\n",)) + one)
    return made


def some_conversation(rng: random.Random, requests: Sequence[bytes]) -> list[Step]:
    """Requests one after the other on one connection, some in pieces, some in one breath."""
    steps: list[Step] = []
    for _ in range(rng.randint(1, 12)):
        said = [rng.choice(requests)]
        if rng.random() < PIPELINED:
            said += rng.choices(requests, k=rng.randint(1, 3))
        text = b"".join(said)
        cuts = sorted(rng.sample(range(1, len(text)), 2)) if rng.random() < SPLIT else []
        pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
        steps.append((pieces, [one.split()[0] for one in said]))
    return steps


async def test_generated_requests_are_answered_the_same(both: Doors) -> None:
    rng = random.Random(7)
    requests = some_requests(rng, await tag_of(both), 150)
    sent = 0
    while sent < REQUESTS:
        steps = some_conversation(rng, requests)
        sent += sum(len(methods) for _, methods in steps)
        fast = await converse(both.fast, steps)
        assert fast == await converse(both.ordinary, steps), steps
    assert both.memo.found > REQUESTS / 8


SHAPES = {
    "two lengths": "POST /players HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n"
    "Content-Length: 4\r\n\r\nabc",
    "length and chunked": "POST /players HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"
    "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked twice": "POST /players HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
    "Transfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "odd chunked": "POST /players HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n"
    "0\r\n\r\n",
    "signed length": "GET /players HTTP/1.1\r\nHost: x\r\nContent-Length: +0\r\n\r\n",
    "bare LF": "GET /players HTTP/1.1\nHost: x\n\n",
    "bare CR": "GET /players HTTP/1.1\r\nHost: x\rX: y\r\n\r\n",
    "obs-fold": "GET /players HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n",
    "NUL in a value": "GET /players HTTP/1.1\r\nHost: x\r\nA: b\0c\r\n\r\n",
    "NUL in the target": "GET /play\0ers HTTP/1.1\r\nHost: x\r\n\r\n",
    "space before the colon": "GET /players HTTP/1.1\r\nHost : x\r\n\r\n",
    "no name": "GET /players HTTP/1.1\r\n: x\r\n\r\n",
    "absolute form": "GET http://x/players HTTP/1.1\r\nHost: y\r\n\r\n",
    "two hosts": "GET /players HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
    "a body with GET": "GET /players HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc",
    "a request in a body": "POST /health/live HTTP/1.1\r\nHost: x\r\nContent-Length: 35\r\n\r\n"
    "GET /players HTTP/1.1\r\nHost: x\r\n\r\n",
    "no version": "GET /players\r\n\r\n",
    "version two": "GET /players HTTP/2.0\r\nHost: x\r\n\r\n",
    "no such version": "GET /players HTTP/9.9\r\nHost: x\r\n\r\n",
    "tabs in the line": "GET\t/players\tHTTP/1.1\r\nHost: x\r\n\r\n",
    "the preface of HTTP/2": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "TLS": "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
}
REFUSED = {
    "two lengths",
    "length and chunked",
    "bare CR",
    "NUL in a value",
    "NUL in the target",
    "signed length",
    "space before the colon",
    "TLS",
}


async def hear(port: int, before: bytes, said: bytes, idle: float) -> list[str]:
    """What is answered to ``said`` after a known request, until the server closes or is silent.

    Raises ``Malformed`` if it is not one proper response after the other.
    """
    heard = []
    async with connected(port) as connection:
        heard.append(repr((await connection.ask(before)).masked()))
        await connection.send(said)
        method = said.lstrip().split(b" ")[0]
        try:
            while True:
                answer = await asyncio.wait_for(connection.answer(method), idle)
                heard.append(repr(answer.masked()))
        except TimeoutError:
            heard.append("silent")
        except (EOFError, ConnectionError):
            heard.append("closed")
    return heard


async def heard_the_same(both: Doors, said: bytes) -> list[str]:
    known = request("/players")
    for idle in (0.3, 3.0):
        ways = (hear(port, known, said, idle) for port in (both.fast, both.ordinary))
        fast, ordinary = await asyncio.gather(*ways)
        # A slow machine is silent for longer: only who listened long is believed.
        if fast == ordinary:
            return fast
    raise AssertionError(f"{said!r}\nfast: {fast}\nordinary: {ordinary}")


@pytest.mark.parametrize("after", [b"", request("/players")], ids=["alone", "before a known one"])
async def test_what_smugglers_send_is_answered_the_same(both: Doors, after: bytes) -> None:
    await both.learn(request("/players"))
    said = [shape.encode("latin-1") + after for shape in SHAPES.values()]
    first = await asyncio.gather(*(heard_the_same(both, one) for one in said))
    again = await asyncio.gather(*(heard_the_same(both, one) for one in said))
    assert first == again
    for shape, heard in zip(SHAPES, first, strict=True):
        refused = "HTTP/1.1 400" in heard[1] and heard[2:] == ["closed"]
        assert refused or shape not in REFUSED, (shape, heard)


def mangled(rng: random.Random, requests: Sequence[bytes]) -> bytes:
    """A request, or two, with something wrong somewhere."""
    said = bytearray(rng.choice(requests) + rng.choice((b"", rng.choice(requests))))
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(said))
        match rng.randrange(5):
            case 0:
                said[at] ^= 1 << rng.randrange(8)
            case 1:
                del said[at : at + rng.randint(1, 8)]
            case 2:
                said[at:at] = rng.choice((b"\r\n", b"\n", b"\r", b"\0", b" ", b":", b"\xff", b"%"))
            case 3:
                said[at:at] = said[: rng.randint(1, 40)]
            case _:
                said[at:at] = rng.randbytes(rng.randint(1, 6))
        if not said:
            return b"\0"
    return bytes(said)


async def test_noise_is_answered_by_proper_responses_or_a_close(both: Doors) -> None:
    rng = random.Random(11)
    # Without HEAD, for of noise nobody knows whether its answer has a body.
    made = some_requests(rng, await tag_of(both), 80)
    requests = [one for one in made if not one.lstrip().startswith(b"HEAD")]
    await both.learn(request("/players"))
    left = [mangled(rng, requests) for _ in range(REQUESTS // 10)]
    while left:
        now, left = left[:25], left[25:]
        await asyncio.gather(*(heard_the_same(both, said) for said in now))
    async with connected(both.fast) as connection:
        assert (await connection.ask(request("/players"))).status == 200


async def test_what_is_no_response_is_seen() -> None:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server, connected(server.sockets[0].getsockname()[1]) as connection:
        with pytest.raises(Malformed):
            await connection.ask(request())

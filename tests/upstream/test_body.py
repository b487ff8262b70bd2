from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import AsyncIterator
from contextlib import nullcontext

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.errors import UpstreamImplausible
from app.upstream.body import SMALL, Inflater, read_body
from app.upstream.lie import Lie

PLAYERS = b'{"players":[{"id":"1","name":"Ada"}]}'


async def chunks_of(body: bytes, size: int) -> AsyncIterator[bytes]:
    for at in range(0, len(body), size):
        yield body[at : at + size]


@pytest.mark.parametrize("encoding", ["", "identity", " Identity "])
async def test_what_is_not_encoded_comes_as_it_is(encoding: str) -> None:
    assert await read_body(chunks_of(PLAYERS, 5), encoding, 1000, nullcontext()) == PLAYERS


@given(st.binary(max_size=3000), st.integers(1, 4000))
@settings(deadline=None)
async def test_gzip_comes_out_whole_in_whatever_pieces_it_arrives(body: bytes, size: int) -> None:
    assert (
        await read_body(chunks_of(gzip.compress(body), size), "gzip", 5000, nullcontext()) == body
    )


async def test_a_large_body_is_decoded_in_pieces() -> None:
    body = b"".join(b'{"id":"%d"},' % number for number in range(100_000))

    pieces = list(Inflater(2_000_000).feed(gzip.compress(body)))

    assert b"".join(pieces) == body
    assert max(map(len, pieces)) <= 256 * 1024


async def test_an_empty_body_may_call_itself_gzip() -> None:
    assert await read_body(chunks_of(b"", 1), "gzip", 10, nullcontext()) == b""


@pytest.mark.parametrize("limit", [len(PLAYERS), len(PLAYERS) + 1])
async def test_a_body_as_large_as_the_limit_passes(limit: int) -> None:
    # The gzip of so little is longer than itself, and counts as well.
    assert await read_body(chunks_of(PLAYERS, 4), "", limit, nullcontext()) == PLAYERS


@pytest.mark.parametrize("encoding", ["", "gzip"])
async def test_one_byte_more_does_not(encoding: str) -> None:
    body = bytes(range(256)) * 8
    sent = gzip.compress(body) if encoding else body

    with pytest.raises(UpstreamImplausible, match="larger than 2047 bytes"):
        await read_body(chunks_of(sent, 64), encoding, len(body) - 1, nullcontext())


async def test_no_more_is_read_than_needed_to_see_that_it_is_too_much() -> None:
    taken = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal taken
        while True:
            taken += 1000
            yield bytes(1000)

    with pytest.raises(UpstreamImplausible, match="larger"):
        await read_body(endless(), "", 10_000, nullcontext())
    assert taken == 11_000


async def test_a_bomb_is_put_down_by_its_ratio_long_before_its_size() -> None:
    bomb = gzip.compress(bytes(50_000_000))[:5000]
    inflater = Inflater(100_000_000)
    given_out: list[bytes] = []

    with pytest.raises(Lie, match="300 to 1") as lie:
        given_out.extend(inflater.feed(bomb))
    assert sum(map(len, given_out)) <= len(bomb) * 300
    assert lie.value.kind == "ratio"


@pytest.mark.parametrize(
    ("sent", "says"),
    [
        (gzip.compress(PLAYERS)[:-1], "cut off"),
        (gzip.compress(PLAYERS)[:-8], "cut off"),
        (gzip.compress(PLAYERS)[:12], "cut off"),
        (gzip.compress(PLAYERS) + b"x", "follows"),
        (gzip.compress(PLAYERS) * 2, "follows"),
        (PLAYERS, "broken gzip"),
        (zlib.compress(PLAYERS), "broken gzip"),
        (gzip.compress(PLAYERS)[:-8] + bytes(8), "broken gzip"),
    ],
)
@pytest.mark.parametrize("size", [1, 7, 10_000])
async def test_gzip_that_is_not_right_is_refused(sent: bytes, says: str, size: int) -> None:
    with pytest.raises(UpstreamImplausible, match=says):
        await read_body(chunks_of(sent, size), "gzip", 1000, nullcontext())


@pytest.mark.parametrize("encoding", ["br", "deflate", "zstd", "gzip, gzip", "x" * 500])
async def test_what_nobody_asked_for_is_refused(encoding: str) -> None:
    with pytest.raises(UpstreamImplausible, match="nobody asked for"):
        await read_body(chunks_of(PLAYERS, 100), encoding, 1000, nullcontext())


async def test_only_so_many_large_bodies_are_held_at_once() -> None:
    large, held, most = asyncio.Semaphore(2), 0, 0

    async def slowly() -> AsyncIterator[bytes]:
        nonlocal held, most
        yield b"x" * SMALL
        yield b"x"
        held += 1
        most = max(most, held)
        await asyncio.sleep(0)
        yield b"x"
        held -= 1

    bodies = await asyncio.gather(*(read_body(slowly(), "", 2 * SMALL, large) for _ in range(10)))
    assert {len(body) for body in bodies} == {SMALL + 2}
    assert most == 2
    assert not large.locked()


async def test_a_small_body_waits_for_nobody() -> None:
    large = asyncio.Semaphore(0)
    assert await read_body(chunks_of(b"x" * 1000, 100), "", 2000, large) == b"x" * 1000


async def test_a_large_body_that_fails_gives_its_place_back() -> None:
    large = asyncio.Semaphore(1)
    with pytest.raises(Lie):
        await read_body(chunks_of(b"x" * (SMALL + 500_000), 64_000), "", SMALL + 1, large)
    assert not large.locked()

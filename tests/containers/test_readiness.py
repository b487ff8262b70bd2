"""What counts as ready: the choice, and the probes against real sockets on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from app.containers.observed import Inspected, Standing
from app.containers.readiness import (
    LOOK_SECONDS,
    choose_rule,
    http_answers,
    pause_after,
    tcp_answers,
    trust_in_look,
    what_is_missing,
)
from app.containers.spec import ReadyRule
from tests.real.server import free_port

DETAILS = Inspected("a" * 64, Standing.UP, 1.0, addresses=("172.17.0.2",), ports=(6379,))
HEALTH, RUNNING = ReadyRule("health"), ReadyRule("running")
TCP = ReadyRule("tcp", port=6379)


@pytest.mark.parametrize(
    ("details", "rules"),
    [
        (DETAILS, (TCP,)),
        (replace(DETAILS, health="starting"), (TCP, HEALTH)),
        (replace(DETAILS, ports=(6379, 16379)), (TCP,)),
        (replace(DETAILS, ports=(6379, 16379), health="starting"), (HEALTH,)),
        (replace(DETAILS, ports=()), (RUNNING,)),
        (replace(DETAILS, ports=(), health="starting"), (HEALTH,)),
        (replace(DETAILS, addresses=()), (RUNNING,)),
    ],
)
def test_auto_asks_what_can_be_asked(details: Inspected, rules: tuple[ReadyRule, ...]) -> None:
    assert choose_rule(ReadyRule(), details) == rules


def test_what_was_asked_for_is_what_is_probed() -> None:
    rule = ReadyRule("http", port=80)
    assert choose_rule(rule, replace(DETAILS, health="healthy")) == (rule,)


@pytest.mark.parametrize(
    ("rules", "at_once", "after_a_second", "after_a_minute"),
    [
        ((TCP,), 0.005, 0.035, 0.25),
        ((ReadyRule("http", port=80),), 0.005, 0.035, 0.25),
        ((TCP, HEALTH), 0.005, 0.035, 0.25),
        ((HEALTH,), 0.010, 0.25, 0.25),
        ((ReadyRule("log", pattern="up"),), 0.010, 0.25, 0.25),
    ],
)
def test_a_knock_is_repeated_sooner_than_a_question_to_the_engine(
    rules: tuple[ReadyRule, ...], at_once: float, after_a_second: float, after_a_minute: float
) -> None:
    pauses = [pause_after(elapsed, rules) for elapsed in (0.0, 1.0, 60.0)]
    assert pauses == pytest.approx([at_once, after_a_second, after_a_minute])


def test_the_engine_is_asked_how_it_is_no_more_often_where_an_address_is_knocked_at() -> None:
    elapsed = [step / 100 for step in range(1000)]
    assert all(trust_in_look(at, (TCP,)) == LOOK_SECONDS for at in elapsed)
    for at in elapsed:
        assert trust_in_look(at, (TCP, HEALTH)) == pause_after(at, (HEALTH,))


Say = Callable[[asyncio.StreamWriter], None]


@asynccontextmanager
async def server(say: Say) -> AsyncIterator[int]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        say(writer)
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield listening.sockets[0].getsockname()[1]
    finally:
        listening.close()
        await listening.wait_closed()


@pytest.mark.parametrize(
    ("answer", "ready"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", True),
        (b"HTTP/1.1 401 Unauthorized\r\n\r\n", True),
        (b"HTTP/1.0 404 Not Found\r\n\r\n", True),
        (b"HTTP/1.1 503 Service Unavailable\r\n\r\n", False),
        (b"HTTP/1.1 500 Oh\r\n\r\n", False),
        (b"-ERR unknown command\r\n", False),
        (b"", False),
        (b"x" * 200_000, False),
    ],
)
async def test_an_http_answer_below_500_is_ready(answer: bytes, ready: bool) -> None:
    async with server(lambda writer: writer.write(answer)) as port:
        assert await http_answers("127.0.0.1", port, "/health") is ready


async def test_nobody_there_is_not_ready() -> None:
    async with server(lambda writer: None) as port:
        assert await tcp_answers("127.0.0.1", port)
    assert not await tcp_answers("127.0.0.1", port)
    assert not await http_answers("127.0.0.1", port, "/")


async def test_the_path_is_asked_for() -> None:
    lines = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines.append(await reader.readline())
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listening:
        port = listening.sockets[0].getsockname()[1]
        await http_answers("127.0.0.1", port, "/api/health?x=1")
    assert lines == [b"GET /api/health?x=1 HTTP/1.1\r\n"]


async def test_what_is_missing_names_what_to_look_at() -> None:
    unused = free_port()
    here = replace(DETAILS, addresses=("127.0.0.1",), ports=(unused,))
    shut = ReadyRule("http", port=unused)
    assert "nobody listens on its port" in await what_is_missing(shut, here)
    assert "nobody listens on its port" in await what_is_missing(ReadyRule(), here)
    async with server(lambda writer: None) as port:
        mute = await what_is_missing(ReadyRule("http", port=port), here)
    assert "is open, but gives no answer below 500" in mute
    nowhere = replace(DETAILS, addresses=("255.255.255.255",))
    assert "share a network with it" in await what_is_missing(TCP, nowhere)
    assert "no address of its own" in await what_is_missing(TCP, replace(DETAILS, addresses=()))
    assert "its health is starting" in await what_is_missing(
        HEALTH, replace(DETAILS, health="starting")
    )
    assert "matches ^up$" in await what_is_missing(ReadyRule("log", pattern="^up$"), DETAILS)
    assert await what_is_missing(RUNNING, DETAILS) == "it runs"

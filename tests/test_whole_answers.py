"""What is written at once is what uvicorn's ``send`` would have written, whatever was asked."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest
import uvicorn

from app.main import create_app
from app.middleware.hits import Hits
from app.serving import beside, bind
from app.whole_answers import WholeAnswers, whole_answers
from tests.fast_gateways import Doors, doors, request
from tests.raw_http import Connection, connected, converse
from tests.test_fast_hits_same import TARGETS, some_conversation, some_requests, tag_of
from tests.waiting import until

CONVERSATIONS = 150
FIELDS = b"content-type: text/plain\r\ncontent-length: 5\r\nx-last: yes"
START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"text/plain"), (b"content-length", b"5"), (b"x-last", b"yes")],
}


@dataclass
class Counted(WholeAnswers):
    """Counts what it was asked to send, and what of it it did."""

    given: list[bool] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def give(self, *answer: Any) -> bool:
        self.given.append(super().give(*answer))
        return self.given[-1]


@dataclass
class Both:
    """A gateway that gives its hits to uvicorn's ``send``, beside ``doors`` whose does not."""

    doors: Doors
    piecewise: int
    counted: Counted


@asynccontextmanager
async def two_ways(tmp_path: Path) -> AsyncIterator[Both]:
    # No fixture: pytest listens to uvicorn's log from the test's begin on, which then writes a line
    # for each request, and whole answers are only given where none is wanted.
    async with doors(tmp_path, cache_ttl_live="1h", cache_ttl_slow="1h") as opened:
        app: Any = create_app(opened.runtime)
        cast(Hits, app._app)._whole = None
        counted = Counted()
        whole: Any = create_app(opened.runtime)
        cast(Hits, whole._app)._whole = counted
        one, other = (bind("127.0.0.1", 0) for _ in range(2))
        async with beside(one, app), beside(other, whole):
            opened.ordinary = other.getsockname()[1]
            yield Both(opened, one.getsockname()[1], counted)


async def test_generated_requests_are_answered_the_same(tmp_path: Path) -> None:
    rng = random.Random(11)
    async with two_ways(tmp_path) as both:
        for target in TARGETS:
            for encoding in ("identity", "gzip", "br", "zstd"):
                asked = request(target, f"Accept-Encoding: {encoding}", "Connection: close")
                await converse(both.piecewise, [([asked], [b"GET"])])
        requests = some_requests(rng, await tag_of(both.doors), 150)
        for _ in range(CONVERSATIONS):
            steps = some_conversation(rng, requests)
            wanted = await converse(both.piecewise, steps)
            assert await converse(both.doors.ordinary, steps) == wanted, steps
    assert sum(both.counted.given) > CONVERSATIONS
    assert not all(both.counted.given), "the last answer of a connection goes by uvicorn"


async def test_the_fields_come_in_the_same_order(tmp_path: Path) -> None:
    answers = []
    async with two_ways(tmp_path) as both:
        for port in (both.piecewise, both.doors.ordinary):
            async with connected(port) as connection:
                for _ in range(3):
                    answer = await connection.ask(request("/players", "X-Request-ID: mine"))
            answers.append([name for name, _ in answer.fields])
    assert answers[0] == answers[1]
    assert both.counted.given[-1]


@asynccontextmanager
async def answering(whole: WholeAnswers, body: bytes = b"hello") -> AsyncIterator[Connection]:
    """A connection to an application that gives ``body`` as a whole, or says that it could not."""
    listening = bind("127.0.0.1", 0)
    fields = FIELDS.replace(b"5", str(len(body)).encode())

    async def app(scope: Any, receive: Any, send: Any) -> None:
        async def wrapped(message: Any) -> None:
            await send(message)

        way = wrapped if scope["path"] == "/wrapped" else send
        if scope["path"] == "/begun":
            await send(START)
        if not whole.give(way, 200, fields, body):
            if scope["path"] != "/begun":
                await send({**START, "status": 203})
            await send({"type": "http.response.body", "body": b"other"})

    async with beside(listening, app), connected(listening.getsockname()[1]) as one:
        yield one


@pytest.mark.parametrize(
    ("asked", "status", "body"),
    [
        (request("/"), 200, b"hello"),
        (request("/", "Expect: 100-continue"), 200, b"hello"),
        (request("/wrapped"), 203, b"other"),
        (request("/begun"), 200, b"other"),
        (request("/", "Connection: close"), 203, b"other"),
        (request("/", version="1.0"), 203, b"other"),
    ],
)
async def test_whatever_is_more_than_sending_is_left_to_uvicorn(
    asked: bytes, status: int, body: bytes
) -> None:
    async with answering(WholeAnswers()) as connection:
        answer = await connection.ask(asked)
    assert (answer.status, answer.body) == (status, body)


async def test_pipelined_requests_are_answered_in_their_order() -> None:
    async with answering(WholeAnswers()) as connection:
        await connection.send(request("/") + request("/wrapped") + request("/"))
        statuses = [(await connection.answer(b"GET")).status for _ in range(3)]
        assert statuses == [200, 203, 200]
        assert (await connection.ask(request("/"))).status == 200


async def test_who_does_not_read_gets_everything_in_the_end() -> None:
    body = b"x" * 3_000_000
    async with answering(WholeAnswers(), body) as connection:
        for _ in range(10):
            await connection.send(request("/"))
        await asyncio.sleep(0)
        for _ in range(10):
            answer = await connection.answer(b"GET")
            assert answer.status == 200 or answer.body == b"other"
            assert len(answer.body) in (5, len(body))


async def test_the_date_is_a_new_one_each_second() -> None:
    async with answering(WholeAnswers()) as connection:
        dates: set[str] = set()

        async def another() -> bool:
            dates.add((await connection.ask(request("/"))).field("date"))
            return len(dates) > 1

        async with asyncio.timeout(20):
            while not await another():
                await asyncio.sleep(0)


async def test_an_idle_connection_is_closed_as_after_any_answer() -> None:
    listening = bind("127.0.0.1", 0)
    whole, connections = WholeAnswers(), []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        connections.append(send.__self__.on_response.__self__)
        assert whole.give(send, 200, FIELDS, b"hello")

    async with beside(listening, app), connected(listening.getsockname()[1]) as one:
        await one.ask(request("/"))
        await until(lambda: connections[0].timeout_keep_alive_task is not None)


def test_another_uvicorn_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert whole_answers() is not None
    monkeypatch.setattr(uvicorn, "__version__", "1.2.3")
    assert whole_answers() is None

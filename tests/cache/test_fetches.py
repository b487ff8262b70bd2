"""Who joins which call, what is believed, and what is handed from one process to another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import orjson
import pytest

from app.cache.emptied import LOOKS, WHILE
from app.cache.fetches import EARLY_AT_ONCE, RETRY_PAUSE, Fetches, Memory
from app.cache.handover import pack
from app.cache.key import RequestKey
from app.cache.shared_flight import Alone, Code, Flights
from app.cache.store import Entry
from app.errors import UpstreamError, UpstreamImplausible, UpstreamUnreachable
from tests.cache.doubles import Answer, Clock, ScriptedUpstream, key
from tests.waiting import until

PLAYERS = key()
FULL = orjson.dumps({"players": [{"id": number} for number in range(20)]})
EMPTY = b'{"players":[]}'
BREAD = b'{"players":["bread"]}'


class Bench:
    """Fetches with an upstream that is told what to do, and a memory that notes everything."""

    def __init__(self, flights: Flights | None = None) -> None:
        self.upstream, self.clock = ScriptedUpstream(), Clock()
        self.upstream.answer = Answer(body=BREAD)
        self.remembered: list[Entry] = []
        self.adopted: list[Entry] = []
        self.disbelieved: list[RequestKey] = []
        self.fresh = self.purged = False
        self.fetches = Fetches(
            self.upstream.fetch,
            flights=flights or Alone(),
            memory=Memory(
                lambda entry, _: self.remembered.append(entry),
                self.adopted.append,
                lambda _, entry: self.fresh,
                lambda _, entry: self.purged,
                self.disbelieved.append,
            ),
            wall=self.clock,
            clock=self.clock,
        )

    def known(self, body: bytes = FULL) -> Entry:
        return Entry(PLAYERS.digest, "GET /players", 200, "j", body, '"t"', self.clock(), 0.1)


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    made = Bench()
    yield made
    made.upstream.flowing.set()
    await made.fetches.aclose()


async def test_one_who_knows_nothing_does_not_wait_behind_a_refresh(bench: Bench) -> None:
    bench.upstream.flowing.clear()
    bench.fetches.refresh(PLAYERS, bench.known())
    assert bench.fetches.under_way(PLAYERS, bench.known())
    assert not bench.fetches.under_way(PLAYERS, None)
    joined = bench.fetches.wanted(PLAYERS, bench.known())
    wanted = [bench.fetches.wanted(PLAYERS, None) for _ in range(3)]
    await until(lambda: bench.upstream.behind == [True, False])
    assert len({joined, *wanted}) == 2
    bench.upstream.flowing.set()
    assert len({(await flight).body for flight in (joined, *wanted)}) == 1


async def test_a_refresh_is_not_begun_while_somebody_waits_for_the_same(bench: Bench) -> None:
    bench.upstream.flowing.clear()
    bench.fetches.wanted(PLAYERS, None)
    bench.fetches.refresh(PLAYERS, bench.known())
    bench.upstream.flowing.set()
    await until(lambda: bench.remembered)
    assert bench.upstream.behind == [False]


async def test_what_is_fresh_is_renewed_only_while_there_is_little_else_to_do(
    bench: Bench,
) -> None:
    bench.upstream.flowing.clear()
    for number in range(EARLY_AT_ONCE):
        bench.fetches.refresh(key("/players", f"name=n{number}"), bench.known(), early=True)
    bench.fetches.refresh(PLAYERS, bench.known(), early=True)
    assert not bench.fetches.under_way(PLAYERS, bench.known())
    bench.fetches.refresh(PLAYERS, bench.known())
    assert bench.fetches.under_way(PLAYERS, bench.known())


async def test_after_a_failure_nothing_is_refreshed_for_a_moment(bench: Bench) -> None:
    bench.upstream.answer = UpstreamUnreachable("no connection")
    with pytest.raises(UpstreamUnreachable):
        await bench.fetches.wanted(PLAYERS, None)
    assert isinstance(bench.fetches.failure(PLAYERS), UpstreamError)
    bench.fetches.refresh(PLAYERS, bench.known())
    assert not bench.fetches.under_way(PLAYERS, bench.known())
    bench.clock.now += RETRY_PAUSE + 0.1
    assert bench.fetches.failure(PLAYERS) is None


async def refreshed(bench: Bench, before: bytes = FULL) -> bytes | None:
    """What a refresh brought; ``None`` if it was not believed."""
    bench.clock.now += RETRY_PAUSE + 0.1
    try:
        return (await bench.fetches.wanted(PLAYERS, bench.known(before))).body
    except UpstreamImplausible:
        return None


async def test_a_list_that_is_suddenly_empty_is_not_believed_at_once(bench: Bench) -> None:
    bench.upstream.answer = Answer(body=EMPTY)
    assert [await refreshed(bench) for _ in range(LOOKS + 2)] == [None] * (LOOKS + 2)
    assert bench.remembered == []
    assert len(bench.disbelieved) == LOOKS + 2
    bench.clock.now += WHILE
    assert await refreshed(bench) == EMPTY
    assert [entry.body for entry in bench.remembered] == [EMPTY]


async def test_one_good_answer_between_and_the_doubt_begins_anew(bench: Bench) -> None:
    for _ in range(LOOKS):
        bench.clock.now += WHILE
        bench.upstream.answer = Answer(body=EMPTY)
        assert await refreshed(bench) is None
        bench.upstream.answer = Answer(body=BREAD)
        assert await refreshed(bench) == BREAD


async def test_an_operator_who_purged_it_is_believed(bench: Bench) -> None:
    bench.upstream.answer = Answer(body=EMPTY)
    bench.purged = True
    assert await refreshed(bench) == EMPTY


async def test_what_was_empty_or_short_may_be_empty(bench: Bench) -> None:
    bench.upstream.answer = Answer(body=EMPTY)
    assert await refreshed(bench, EMPTY) == EMPTY
    assert await refreshed(bench, BREAD) == EMPTY


class Handing(Flights):
    """Another process is always faster, and hands on what the test says."""

    def __init__(self, packed: bytes, *, awaited: bool) -> None:
        self.packed, self.awaited = packed, awaited

    async def fly(self, key: str, work: Callable[[], Awaitable[Any]], code: Code[Any]) -> Any:
        return code.read(self.packed, awaited=self.awaited) or await work()


def handed(result: Entry | UpstreamError) -> bytes:
    packed = pack(result)
    assert packed is not None
    return packed


def later(body: bytes = BREAD, status: int = 200, digest: str = PLAYERS.digest) -> Entry:
    return Entry(digest, "GET /players", status, "j", body, '"t"', Clock().now + 10, 0.1)


@pytest.mark.parametrize(
    ("packed", "awaited", "fresh", "taken"),
    [
        (handed(later()), True, False, True),
        (handed(later()), False, True, True),
        (handed(later()), False, False, False),
        (handed(later(digest="another")), True, True, False),
        (handed(Bench().known()), False, True, False),
        (b"damage", True, True, False),
    ],
    ids=["waited for", "lies ready", "lies ready, old", "another's", "known already", "damage"],
)
async def test_an_answer_of_another_process_is_taken_over(
    packed: bytes, awaited: bool, fresh: bool, taken: bool
) -> None:
    bench = Bench(Handing(packed, awaited=awaited))
    bench.fresh = fresh
    await bench.fetches.wanted(PLAYERS, bench.known())
    assert (len(bench.adopted), len(bench.remembered)) == ((1, 0) if taken else (0, 1))
    await bench.fetches.aclose()


@pytest.mark.parametrize("awaited", [True, False])
async def test_a_failure_of_another_process_is_ours_if_we_waited_for_it(awaited: bool) -> None:
    bench = Bench(Handing(handed(UpstreamError("it is down")), awaited=awaited))
    if awaited:
        with pytest.raises(UpstreamError, match="it is down"):
            await bench.fetches.wanted(PLAYERS, None)
    else:
        assert (await bench.fetches.wanted(PLAYERS, None)).status == 200
    await bench.fetches.aclose()


async def test_an_error_answer_is_given_and_not_kept() -> None:
    bench = Bench(Handing(handed(later(b"no", 403)), awaited=True))
    assert (await bench.fetches.wanted(PLAYERS, None)).body == b"no"
    assert bench.adopted == bench.remembered == []
    await asyncio.gather(bench.fetches.aclose())

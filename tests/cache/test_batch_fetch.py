"""Lists of ids: asked in parts, only for what is not known, with the answer to the whole."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import orjson
import pytest
from structlog.testing import capture_logs

from app.cache.batch_fetch import AT_ONCE, MOST_CALLS, WHOLE_FOR, BatchFetch, Fetched
from app.cache.freshness import Policies
from app.cache.key import RequestKey
from app.errors import UpstreamImplausible, UpstreamTimeout, UpstreamUnreachable
from app.kingdom.operation import Freshness
from app.sandbox.kingdom import Kingdom
from tests.cache.doubles import Answer, Clock
from tests.cache.lookups import NOW, KingdomUpstream, heroes, look_up
from tests.waiting import until

FRESH, NEGATIVE = 30.0, 10.0
POLICIES = Policies(dict.fromkeys(Freshness, FRESH), NEGATIVE, 1e9)
SECONDS = 0.01
"""What every call of the doubles takes."""
SIMPLE = "&simplified=true"


@pytest.fixture(scope="module")
def kingdom() -> Kingdom:
    return Kingdom(7, 2500, {})


class Stage:
    """A fetch in front of the kingdom, and the times that it sees."""

    def __init__(self, kingdom: Kingdom, memory_bytes: int = 50_000_000) -> None:
        self.upstream = KingdomUpstream(kingdom)
        self.wall, self.clock = Clock(NOW), Clock(50.0)
        self.purged = -1e18
        self.fetch = BatchFetch(
            lambda key, background: self.upstream.fetch(key, background=background),
            policies=POLICIES,
            memory_bytes=memory_bytes,
            patience=10.0,
            not_before=lambda _: self.purged,
            wall=self.wall,
            clock=self.clock,
        )

    async def ask(self, key: RequestKey, *, background: bool = False) -> Fetched:
        return await self.fetch(key, background=background)

    async def right(self, key: RequestKey) -> list[int]:
        """Ask, compare with what the kingdom gives to the whole, and say how many were asked."""
        before = len(self.upstream.asked)
        answer = await self.ask(key)
        assert answer.status == 200
        assert answer.body == self.upstream.whole(key)
        return self.upstream.ids_asked()[before:]

    def pass_time(self, seconds: float) -> None:
        self.wall.now += seconds
        self.clock.now += seconds


@pytest.fixture
def stage(kingdom: Kingdom) -> Stage:
    return Stage(kingdom)


def wallets(kingdom: Kingdom, first: int, count: int) -> list[str]:
    return [kingdom.heroes.address(number) for number in range(first, first + count)]


async def test_what_is_no_batch_goes_through(stage: Stage) -> None:
    key = look_up("/players", "numToFetch=3")
    answer = await stage.ask(key, background=True)
    assert answer == Fetched(200, Answer().content_type, stage.upstream.whole(key), SECONDS)
    assert (stage.upstream.asked, stage.upstream.behind) == ([key], [True])
    assert len(stage.fetch.memory) == 0


async def test_a_first_question_is_asked_as_it_is(stage: Stage) -> None:
    key = look_up("/players", heroes(0, 20) + "&numToFetch=30&orderDirection=asc")
    answer = await stage.ask(key)
    assert stage.upstream.asked == [key]
    assert answer == Fetched(200, Answer().content_type, stage.upstream.whole(key), SECONDS)


async def test_only_what_is_missing_is_asked_for(stage: Stage) -> None:
    assert await stage.right(look_up("/players", heroes(0, 20))) == [20]
    assert await stage.right(look_up("/players", heroes(10, 20))) == [10]
    assert await stage.right(look_up("/players", heroes(5, 20))) == []
    assert await stage.right(look_up("/players", heroes(5, 20) + "&orderDirection=desc")) == []
    assert await stage.right(look_up("/players", heroes(5, 20) + "&numToSkip=7&numToFetch=5")) == []
    assert stage.upstream.asked[-1] == look_up("/players", heroes(20, 10))


@pytest.mark.parametrize("other", ["simplified=true", "isActive=true", "orderBy=totalXP"])
async def test_rows_of_another_kind_of_question_do_not_count(stage: Stage, other: str) -> None:
    assert await stage.right(look_up("/players", heroes(0, 20))) == [20]
    assert await stage.right(look_up("/players", f"{heroes(0, 20)}&{other}")) == [20]
    assert await stage.right(look_up("/players", f"{heroes(0, 25)}&{other}")) == [5]


async def test_1700_ids_are_four_calls(stage: Stage, kingdom: Kingdom) -> None:
    body = {"owners": wallets(kingdom, 0, 400) + [f"0x{n:040x}" for n in range(1300)]}
    assert await stage.right(look_up("/players/multi", "simplified=true", body)) == [425] * 4
    assert stage.upstream.say(look_up("/players/multi", "", body)).status == 422
    assert await stage.right(look_up("/players", heroes(0, 1700) + SIMPLE)) == [425] * 4


async def test_at_most_a_few_at_once(stage: Stage) -> None:
    under_way, most = 0, 0
    ask = stage.upstream.fetch

    async def slowly(key: RequestKey, *, background: bool) -> Answer:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        for _ in range(3):
            await asyncio.sleep(0)
        under_way -= 1
        return await ask(key, background=background)

    stage.upstream.fetch = slowly  # type: ignore[method-assign]
    key = look_up("/queued-actions/multi", "isActive=true", {"playerIds": list(range(3000, 5000))})
    assert await stage.right(key) == [500] * 4
    assert most == AT_ONCE


@pytest.mark.parametrize(
    "query",
    [
        "simplified=true",
        "simplified=true&orderDirection=desc",
        "simplified=true&orderBy=tokenId&orderDirection=desc",
        "simplified=true&orderBy=totalXP",
        "simplified=true&orderBy=totalXP&orderDirection=desc&numToFetch=10",
        "simplified=true&orderBy=battlePoints&isActive=true",
        "orderBy=numActivities&numToSkip=1000",
        "orderBy=combinedRank&numToSkip=700&numToFetch=900",
    ],
)
async def test_big_questions_have_the_order_and_the_page_of_the_whole(
    stage: Stage, query: str
) -> None:
    key = look_up("/players", f"{heroes(300, 1200)}&{query}")
    assert await stage.right(key) == [400] * 3


async def test_inventories_of_many_wallets(stage: Stage, kingdom: Kingdom) -> None:
    """More rows than a page, and the same token at many of them."""
    body = {"userAddresses": wallets(kingdom, 0, 700)}
    path = "/user-item-nfts/multi"
    assert await stage.right(look_up(path, "", body)) == [350] * 2
    tokens = "tokenIds=" + ",".join(map(str, kingdom.definitions.tokens[:40]))
    assert await stage.right(look_up(path, tokens, body)) == [350] * 2


async def test_later_pages_of_big_questions(stage: Stage, kingdom: Kingdom) -> None:
    """What does not fit into a page is asked for in smaller parts, once for all pages."""
    key = {"playerIds": [str(200_000 + number) for number in range(600)]}
    first = look_up("/queued-actions/multi", "", key)
    assert await stage.right(first) == [300] * 2
    second = look_up("/queued-actions/multi", "numToSkip=1000", key)
    assert sum(await stage.right(second)) == 600 + 2 * 300
    for skip in (0, 2000, 3000, 4000):
        assert await stage.right(look_up("/queued-actions/multi", f"numToSkip={skip}", key)) == []


async def test_one_id_with_more_rows_than_a_page(stage: Stage) -> None:
    def crowded(key: RequestKey, answer: Answer) -> Answer:
        ids = orjson.loads(key.body or b"")["playerIds"]
        rows = [{"id": f"{n:05}", "queuedId": n, "playerId": ids[0]} for n in range(1000)]
        return replace(answer, body=orjson.dumps({"queuedActions": rows}))

    stage.upstream.answer_of = crowded
    key = look_up("/queued-actions/multi", "numToSkip=900", {"playerIds": list(range(1, 601))})
    answer = await stage.ask(key)
    assert stage.upstream.asked[-1] == key
    assert answer.body == crowded(key, Answer()).body
    assert len(stage.upstream.asked) <= MOST_CALLS + 1


async def test_ids_without_rows_are_known_to_have_none_for_the_negative_time(stage: Stage) -> None:
    key = look_up("/players", "tokenIds=200000,5,6")
    assert await stage.right(key) == [3]
    stage.pass_time(NEGATIVE * 0.8)
    assert await stage.right(look_up("/players", "tokenIds=200000,5,6,200001")) == [1]
    stage.pass_time(NEGATIVE * 0.5)
    assert await stage.right(look_up("/players", "tokenIds=200000,5,6,200001")) == [2]


async def test_rows_count_while_they_are_fresh(stage: Stage) -> None:
    await stage.right(look_up("/players", heroes(0, 4)))
    stage.pass_time(FRESH * 0.5)
    assert await stage.right(look_up("/players", heroes(0, 6))) == [2]
    stage.pass_time(FRESH * 0.65)
    assert await stage.right(look_up("/players", heroes(0, 6))) == [4]
    stage.wall.now -= 3600
    assert await stage.right(look_up("/players", heroes(0, 6))) == [6]


async def test_what_is_fetched_behind_a_client_is_to_last(stage: Stage) -> None:
    key = look_up("/players", heroes(0, 4))
    await stage.ask(key)
    stage.pass_time(FRESH * 0.5)
    await stage.ask(key, background=True)
    assert len(stage.upstream.asked) == 1
    stage.upstream.asked.clear()
    # Whatever the fresh time of this very question is: ask at its end, but before it.
    while not stage.upstream.asked:
        stage.pass_time(FRESH * 0.01)
        await stage.ask(key, background=True)
    assert await stage.right(look_up("/players", heroes(0, 4) + "&numToFetch=9")) == []


async def test_an_answer_is_as_old_as_its_oldest_row(stage: Stage) -> None:
    assert (await stage.ask(look_up("/players", heroes(0, 4)))).as_of is None
    stage.pass_time(12)
    answer = await stage.ask(look_up("/players", heroes(0, 8)))
    assert answer.as_of == NOW
    assert answer.seconds == pytest.approx(SECONDS)
    fresh = await stage.ask(look_up("/players", heroes(100, 1200) + SIMPLE))
    assert fresh.as_of == NOW + 12


async def test_what_was_asked_for_before_a_purge_does_not_count(stage: Stage) -> None:
    key = look_up("/players", heroes(0, 4))
    await stage.right(key)
    stage.purged = NOW - SECONDS
    assert await stage.right(key) == [4]
    stage.pass_time(1)
    stage.purged = NOW + 0.5
    assert await stage.right(key) == [4]
    assert await stage.right(key) == []


async def test_a_purge_that_came_while_it_was_asked_for_wins(stage: Stage) -> None:
    key = look_up("/players", heroes(0, 4))

    def purged(_: RequestKey, answer: Answer) -> Answer:
        stage.pass_time(2)
        stage.purged = stage.wall() - 1
        return replace(answer, seconds=2.0)

    stage.upstream.answer_of = purged
    await stage.ask(key)
    stage.upstream.answer_of = lambda _, answer: answer
    assert await stage.right(key) == [4]


async def test_the_first_failure_is_the_answer_and_ends_the_others(stage: Stage) -> None:
    hangs = asyncio.Event()
    ended: list[int] = []

    async def fetch(key: RequestKey, *, background: bool) -> Answer:
        stage.upstream.asked.append(key)
        if len(stage.upstream.asked) == 2:
            raise UpstreamUnreachable("gone")
        try:
            await hangs.wait()
        finally:
            ended.append(1)
        raise AssertionError("it was not ended")

    stage.upstream.fetch = fetch  # type: ignore[method-assign]
    with pytest.raises(UpstreamUnreachable):
        await stage.ask(look_up("/players", heroes(0, 1700) + SIMPLE))
    assert len(ended) == AT_ONCE - 1
    assert len(stage.upstream.asked) == 4


async def test_what_came_before_a_failure_is_not_asked_again(stage: Stage) -> None:
    ask = stage.upstream.fetch

    async def fail_late(key: RequestKey, *, background: bool) -> Answer:
        if "201600" in key.target:
            await until(lambda: len(stage.fetch.memory) == 3 * 425)
            raise UpstreamUnreachable("gone")
        return await ask(key, background=background)

    stage.upstream.fetch = fail_late  # type: ignore[method-assign]
    key = look_up("/players", heroes(0, 1700) + SIMPLE)
    with pytest.raises(UpstreamUnreachable):
        await stage.ask(key)
    stage.upstream.fetch = ask  # type: ignore[method-assign]
    assert await stage.right(key) == [425]


async def test_an_error_of_the_upstreams_own_is_passed_on(stage: Stage) -> None:
    error = Answer(422, body=b'{"message":"no"}')

    def refuse(key: RequestKey, answer: Answer) -> Answer:
        return error if "201000" in key.target else answer

    stage.upstream.answer_of = refuse
    answer = await stage.ask(look_up("/players", heroes(0, 1700) + SIMPLE))
    assert (answer.status, answer.body, answer.as_of) == (422, error.body, None)
    single = await stage.ask(look_up("/players", heroes(1000, 3)))
    assert (single.status, single.body) == (422, error.body)
    stage.upstream.answer_of = lambda _, answer: answer
    assert await stage.right(look_up("/players", heroes(1000, 3))) == [3]


async def test_it_takes_no_longer_than_its_time(stage: Stage) -> None:
    stage.fetch._patience = 0.01

    async def hang(key: RequestKey, *, background: bool) -> Answer:
        await asyncio.Event().wait()
        raise AssertionError

    stage.upstream.fetch = hang  # type: ignore[method-assign]
    with pytest.raises(UpstreamTimeout):
        await stage.ask(look_up("/players", heroes(0, 1700)))


async def test_nothing_runs_on_when_it_is_cancelled(stage: Stage) -> None:
    waiting: list[int] = []

    async def hang(key: RequestKey, *, background: bool) -> Answer:
        waiting.append(1)
        try:
            await asyncio.Event().wait()
        finally:
            waiting.pop()
        raise AssertionError

    stage.upstream.fetch = hang  # type: ignore[method-assign]
    task = asyncio.create_task(stage.ask(look_up("/players", heroes(0, 1700))))
    await until(lambda: len(waiting) == AT_ONCE)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert waiting == []


def reordered(_: RequestKey, answer: Answer) -> Answer:
    rows = orjson.loads(answer.body)["players"]
    return replace(answer, body=orjson.dumps({"players": rows[::-1]}))


def spaced(_: RequestKey, answer: Answer) -> Answer:
    return replace(answer, body=answer.body.replace(b"},{", b"}, {"))


def with_meta(key: RequestKey, answer: Answer) -> Answer:
    tail = b'],"_meta":[{"progressBlock":"%d"}]}' % len(key.target)
    return replace(answer, body=answer.body[:-2] + tail)


@pytest.mark.parametrize("odd", [reordered, spaced, with_meta])
async def test_an_upstream_that_answers_otherwise_is_asked_the_whole(
    stage: Stage, odd: Any
) -> None:
    stage.upstream.answer_of = odd
    first, second = look_up("/players", heroes(0, 20)), look_up("/players", heroes(10, 25))
    with capture_logs() as logs:
        for key in (first, second, first, second):
            answer = await stage.ask(key)
            assert answer.body == odd(key, stage.upstream.say(key)).body
            assert stage.upstream.asked[-1] == key
    told = [log for log in logs if log["log_level"] == "warning"]
    assert [log["operation"] for log in told] == ["players"]
    # Another question is not concerned, and this one neither after a while.
    stage.upstream.answer_of = lambda _, answer: answer
    assert await stage.right(look_up("/items", "tokenIds=1,2")) == [2]
    stage.pass_time(WHOLE_FOR)
    assert await stage.right(first) == [20]
    assert await stage.right(second) == [15]


@pytest.mark.parametrize("query", ["orderBy=name", "simplified=true&orderBy=combinedRank"])
async def test_a_big_question_in_an_unknown_order_is_asked_as_it_is(
    stage: Stage, query: str
) -> None:
    key = look_up("/players", f"{heroes(0, 1700)}&{query}")
    answer = await stage.ask(key)
    assert stage.upstream.asked[-1] == key
    assert answer.status == 422
    assert b"500 ids" in answer.body


async def test_a_row_that_moved_meanwhile(stage: Stage, kingdom: Kingdom) -> None:
    """A hero is sold between two calls: what was known is left out, and all is asked anew."""
    body = {"owners": wallets(kingdom, 0, 600)}
    seller, buyer = body["owners"][0], body["owners"][1]
    await stage.ask(look_up("/players/multi", "", {"owners": [seller]}))
    sold = orjson.loads(stage.upstream.say(stage.upstream.asked[0]).body)["players"]

    def sell(key: RequestKey, answer: Answer) -> Answer:
        rows = orjson.loads(answer.body)["players"]
        asked = orjson.loads(key.body or b"")["owners"]
        moved = [{**row, "owner": buyer} for row in sold if buyer in asked]
        rows = [row for row in rows if row["owner"] != seller] + moved
        rows.sort(key=lambda row: row["id"])
        return replace(answer, body=orjson.dumps({"players": rows}))

    stage.upstream.answer_of = sell
    answer = await stage.ask(look_up("/players/multi", "", body))
    assert stage.upstream.ids_asked() == [1, 299, 300, 300, 300]
    rows = orjson.loads(answer.body)["players"]
    assert {row["owner"] for row in rows if row["id"] == sold[0]["id"]} == {buyer}
    assert len({row["id"] for row in rows}) == len(rows)
    # A few ids are asked for as one question instead.
    stage.upstream.asked.clear()
    stage.pass_time(1000)
    stage.upstream.answer_of = lambda _, answer: answer
    await stage.ask(look_up("/players/multi", "", {"owners": [seller]}))
    stage.upstream.answer_of = sell
    pair = look_up("/players/multi", "", {"owners": [seller, buyer]})
    assert (await stage.ask(pair)).as_of is None
    assert stage.upstream.asked[-1] == pair


async def test_a_part_that_is_suddenly_empty_is_not_believed_at_once(stage: Stage) -> None:
    await stage.right(look_up("/players", heroes(0, 30)))
    stage.pass_time(FRESH * 2)
    await stage.right(look_up("/players", heroes(100, 10)))

    def nothing(_: RequestKey, answer: Answer) -> Answer:
        return replace(answer, body=b'{"players":[]}')

    stage.upstream.answer_of = nothing
    key = look_up("/players", heroes(0, 30) + "," + heroes(100, 10).partition("=")[2])
    for _ in range(2):
        with pytest.raises(UpstreamImplausible):
            await stage.ask(key)
    stage.upstream.answer_of = lambda _, answer: answer
    stage.pass_time(1)
    assert await stage.right(key) == [30]


async def test_what_is_empty_for_long_is_believed(stage: Stage) -> None:
    await stage.right(look_up("/players", heroes(0, 1000) + SIMPLE))
    stage.upstream.answer_of = lambda _, answer: replace(answer, body=b'{"players":[]}')
    key = look_up("/players", heroes(0, 1000) + SIMPLE)
    for _ in range(8):
        stage.pass_time(40)
        try:
            answer = await stage.ask(key)
        except UpstreamImplausible:
            continue
        assert answer.body == b'{"players":[]}'
        return
    raise AssertionError("it was never believed")


async def test_an_empty_answer_to_the_whole_is_passed_on_and_not_learnt(stage: Stage) -> None:
    key = look_up("/players", heroes(0, 30))
    await stage.right(key)
    stage.pass_time(FRESH * 2)
    stage.upstream.answer_of = lambda _, answer: replace(answer, body=b'{"players":[]}')
    assert (await stage.ask(key)).body == b'{"players":[]}'
    stage.upstream.answer_of = lambda _, answer: answer
    assert await stage.right(key) == [30]


async def test_a_page_that_was_cut_teaches_nothing(stage: Stage) -> None:
    assert await stage.right(look_up("/players", heroes(0, 20) + "&numToFetch=20")) == [20]
    assert await stage.right(look_up("/players", heroes(0, 20) + "&numToSkip=1")) == [20]
    assert await stage.right(look_up("/players", heroes(0, 20))) == [20]
    assert await stage.right(look_up("/players", heroes(0, 20) + "&numToFetch=20")) == []


async def test_a_small_memory_only_asks_more(kingdom: Kingdom) -> None:
    stage = Stage(kingdom, memory_bytes=30_000)
    for first in (0, 5, 10, 0):
        await stage.right(look_up("/players", heroes(first, 20)))
    assert stage.fetch.memory.weight <= 30_000

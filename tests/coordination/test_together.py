"""What one process tells and the others do about it: over a real Redis."""

from __future__ import annotations

import pytest

from tests.coordination.processes import Text, company
from tests.real.redis import RedisServer
from tests.waiting import until

pytestmark = pytest.mark.real("redis")


async def fetched(text: str = "bread") -> str:
    return text


async def test_a_refreshed_answer_reaches_those_who_hold_an_older_one(
    redis_server: RedisServer,
) -> None:
    async with company(redis_server.url, 3) as (fetcher, holder, other):
        holder.ear.held = fetcher.ear.held = {"k"}
        await until(lambda: holder.together.news.listening and other.together.news.listening)
        await fetcher.together.flights.fly("k", fetched, Text())
        await until(lambda: holder.ear.answers == [b"bread"])
        await other.together.flights.fly("k2", fetched, Text())
        await fetcher.together.flights.aclose()
        assert (fetcher.ear.answers, other.ear.answers) == ([], [])


async def test_a_failure_is_no_news(redis_server: RedisServer) -> None:
    async with company(redis_server.url) as (fetcher, holder):
        holder.ear.held = {"k", "l"}
        await until(lambda: holder.together.news.listening)
        await fetcher.together.flights.fly("k", lambda: fetched("failure"), Text())
        await fetcher.together.flights.fly("l", fetched, Text())
        await until(lambda: holder.ear.answers)
        assert holder.ear.answers == [b"bread"]


async def test_a_pause_is_told_to_the_others(redis_server: RedisServer) -> None:
    async with company(redis_server.url) as (told, other):
        await until(lambda: other.together.news.listening and told.together.news.listening)
        told.together.tell_pause(2.5, 429)
        await until(lambda: other.ear.pauses == [(2.5, 429)])
        assert told.ear.pauses == []


@pytest.mark.parametrize(
    "message", ["pause x 429 a", "pause inf 429 a", "pause 1", "landed k", "landed", "", "what is"]
)
async def test_nonsense_is_ignored(redis_server: RedisServer, message: str) -> None:
    async with company(redis_server.url, 1) as [one]:
        one.ear.held = {"k"}
        await until(lambda: one.together.news.listening)
        await one.link.redis.publish(one.together._channel, message)
        await one.link.redis.publish(one.together._channel, "pause 1 503 somebody")
        await until(lambda: one.ear.pauses == [(1.0, 503)])
        assert one.ear.answers == []

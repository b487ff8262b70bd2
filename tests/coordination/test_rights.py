"""Who may stop a container that several gateways look after: over a real Redis."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import pytest
from redis import Redis

from app.coordination import company, rights
from app.coordination.company import Company
from app.coordination.link import OpenDoor, RedisLink, connect
from app.coordination.rights import StopRight, StopRights
from tests.cache.doubles import SwitchedGate
from tests.real.redis import RedisServer
from tests.waiting import until

pytestmark = pytest.mark.real("redis")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, redis_server: RedisServer) -> None:
    monkeypatch.setattr(company, "BEAT", 0.05)
    monkeypatch.setattr(company, "ALIVE", 1.0)
    monkeypatch.setattr(rights, "VOTE", 0.4)
    redis_server.kill()  # nobody of the last test lives on in it
    redis_server.start()


@dataclass
class Gateway:
    """One gateway as far as votes go: agrees unless it uses the container."""

    rights: StopRights
    uses: set[str] = field(default_factory=set)
    asked: list[tuple[str, bool]] = field(default_factory=list)
    yielded: list[str] = field(default_factory=list)
    when_asked: Callable[[], None] = lambda: None

    def let_stop(self, container_id: str, *, wish: bool) -> bool:
        self.asked.append((container_id, wish))
        self.when_asked()
        return container_id not in self.uses

    def container_ids(self) -> list[str]:
        return ["cache", "db"]

    def yield_to_stop(self, container_id: str) -> None:
        self.yielded.append(container_id)


@asynccontextmanager
async def gateways(url: str, count: int = 2) -> AsyncIterator[list[Gateway]]:
    async with AsyncExitStack() as parts:
        made = [await joined(parts, url) for _ in range(count)]
        await until(lambda: all(len(one.rights.gateways) == count for one in made))
        await until(lambda: all(one.rights.news.listening for one in made))
        yield made


async def joined(parts: AsyncExitStack, url: str) -> Gateway:
    redis = await parts.enter_async_context(connect(url))
    gateway = Gateway(StopRights(RedisLink(redis, OpenDoor(), time.monotonic)))
    parts.push_async_callback(gateway.rights.aclose)
    await gateway.rights.join(gateway)
    return gateway


def company_of(gateway: Gateway) -> Company:
    assert gateway.rights._company is not None
    return gateway.rights._company


async def granted(gateway: Gateway, container_id: str = "db") -> StopRight:
    """The right to stop it, which nobody objects to; on a busy machine an answer may be late."""
    async with asyncio.timeout(20):
        while (right := await gateway.rights.ask(container_id, wish=False)) is None:
            await asyncio.sleep(0.05)
    return right


async def test_one_alone_may(redis_server: RedisServer) -> None:
    async with gateways(redis_server.url, 1) as [one]:
        right = await granted(one)
        assert right.holds
        await right.give_back()


async def test_all_others_are_asked_and_only_one_has_the_right(redis_server: RedisServer) -> None:
    async with gateways(redis_server.url, 3) as (one, two, three):
        right = await one.rights.ask("db", wish=True)
        assert right is not None
        assert two.asked == three.asked == [("db", True)]
        assert one.asked == []
        assert await two.rights.ask("db", wish=False) is None
        assert one.asked == []
        await right.give_back()
        again = await granted(two)
        await again.give_back()


async def test_one_who_uses_it_is_enough(redis_server: RedisServer) -> None:
    async with gateways(redis_server.url, 3) as (one, two, three):
        three.uses = {"db"}
        assert await one.rights.ask("db", wish=False) is None
        other = await granted(one, "cache")
        await other.give_back()
        three.uses = set()
        right = await granted(two)
        await right.give_back()


async def test_those_who_agreed_hear_when_it_is_over(redis_server: RedisServer) -> None:
    async with gateways(redis_server.url) as (one, two):
        right = await granted(one)
        waiting = asyncio.create_task(two.rights.given_back("db"))
        await asyncio.wait({waiting}, timeout=3 * rights.LOOK_AGAIN)
        assert not waiting.done()
        await right.give_back()
        await waiting


async def test_a_right_is_renewed_and_ends_with_its_holder(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rights, "LEASE", 0.4)
    async with gateways(redis_server.url) as (one, two):
        right = await granted(one)
        await asyncio.sleep(3 * rights.LEASE)
        assert right.holds
        assert await two.rights.ask("db", wish=False) is None
        right.let_run_out()  # as SIGKILL would
        await two.rights.given_back("db")
        assert not right.holds


async def test_one_who_does_not_answer_but_lives_is_not_passed_over(
    redis_server: RedisServer,
) -> None:
    async with gateways(redis_server.url) as (one, deaf):
        deaf.rights.news._task.cancel()
        await asyncio.gather(deaf.rights.news._task, return_exceptions=True)
        assert await one.rights.ask("db", wish=False) is None
        await deaf.rights.aclose()
        await until(lambda: len(one.rights.gateways) == 1)
        right = await granted(one)
        await right.give_back()


async def test_the_dead_are_not_waited_for(redis_server: RedisServer) -> None:
    async with gateways(redis_server.url) as (one, dead):
        for task in (company_of(dead)._task, dead.rights.news._task):
            task.cancel()
        await until(lambda: len(one.rights.gateways) == 1)
        right = await granted(one)
        await right.give_back()


async def test_one_who_comes_later_is_told_before_it_lets_anybody_in(
    redis_server: RedisServer,
) -> None:
    async with gateways(redis_server.url) as (one, two), AsyncExitStack() as parts:
        right = await granted(one)
        late = await joined(parts, redis_server.url)
        assert late.yielded == ["db"]
        assert two.yielded == one.yielded == []
        assert await late.rights.is_taken("db")
        assert not await one.rights.is_taken("db"), "its own right is none of another"
        await right.give_back()
        assert not await late.rights.is_taken("db")


async def test_one_who_was_taken_for_dead_is_told_when_it_is_back(
    redis_server: RedisServer,
) -> None:
    async with gateways(redis_server.url) as (one, cut_off):
        company_of(cut_off)._task.cancel()
        await until(lambda: len(one.rights.gateways) == 1)
        right = await granted(one)
        assert cut_off.asked == []
        company_of(cut_off)._task = asyncio.create_task(company_of(cut_off)._run())
        await until(lambda: "db" in cut_off.yielded)
        await right.give_back()


async def test_one_who_comes_during_the_vote_is_asked_as_well(redis_server: RedisServer) -> None:
    async with gateways(redis_server.url) as (one, two):
        with Redis.from_url(redis_server.url) as redis:

            def somebody_comes() -> None:
                redis.zadd("drawbridge:containers:processes", {"late": 1000 * time.time()})

            two.when_asked = somebody_comes
            assert await one.rights.ask("db", wish=True) is None
        assert two.asked[0] == ("db", True)


async def test_a_redis_that_forgot_who_is_there_is_not_believed_at_once(
    redis_server: RedisServer,
) -> None:
    async with gateways(redis_server.url) as (one, user):
        user.uses = {"db"}
        company_of(user)._task.cancel()
        redis_server.kill()
        await until(lambda: one.rights._link.is_away)
        redis_server.start()
        await until(lambda: len(one.rights.gateways) == 1 and not one.rights._link.is_away)
        asking = asyncio.create_task(one.rights.ask("db", wish=True))
        company_of(user)._task = asyncio.create_task(company_of(user)._run())
        assert await asking is None


async def test_without_redis_nothing_is_known_to_be_taken(redis_server: RedisServer) -> None:
    async with gateways(redis_server.url) as (one, two):
        right = await granted(one)
        redis_server.kill()
        assert not await two.rights.is_taken("db")
        redis_server.start()
        await right.give_back()


@pytest.mark.parametrize("harm", ["kill", "pause"])
async def test_without_redis_nobody_stops_anything(redis_server: RedisServer, harm: str) -> None:
    async with gateways(redis_server.url) as (one, _):
        getattr(redis_server, harm)()
        assert await one.rights.ask("db", wish=False) is None
        redis_server.start()
        redis_server.resume()


async def test_a_sleeping_redis_is_woken_to_be_asked_the_next_time(
    redis_server: RedisServer,
) -> None:
    async with gateways(redis_server.url, 1) as [one]:
        door = SwitchedGate(is_open=False)
        one.rights._link.door = door
        assert await one.rights.ask("db", wish=False) is None
        assert door.wakes == 1
        door.unlock()
        await until(lambda: door.leases == 0)
        right = await granted(one)
        await right.give_back()

"""Who is there, and a log that everybody reads: over a real Redis."""

from __future__ import annotations

import uuid

import pytest

from app.coordination import company as module
from tests.coordination.processes import Process, company
from tests.real.redis import RedisServer
from tests.waiting import until

pytestmark = pytest.mark.real("redis")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BEAT", 0.05)
    monkeypatch.setattr(module, "ALIVE", 0.5)


async def counted(processes: list[Process], count: int) -> None:
    await until(lambda: all(process.ear.processes == count for process in processes))


async def test_those_who_live_are_counted(redis_server: RedisServer) -> None:
    async with company(redis_server.url, 3) as processes:
        await counted(processes, 3)
        leaver = processes.pop()
        await leaver.together.aclose()
        await counted(processes, 2)
        dead = processes.pop()
        dead.together._company._task.cancel()
        await counted(processes, 1)


async def test_a_line_is_read_by_all_others_in_order(redis_server: RedisServer) -> None:
    lines = [f"line {number}".encode() for number in range(1_200)]
    async with company(redis_server.url, 3) as (writer, *readers):
        for line in lines[:1_000]:
            writer.together.write(line)
        await until(lambda: writer.together._company.untold == 0)
        for line in lines[1_000:]:
            writer.together.write(line)
        await until(lambda: all(len(reader.ear.lines) == 1_200 for reader in readers))
        assert [reader.ear.lines for reader in readers] == [lines, lines]
        assert writer.ear.lines == []
        assert not any(process.ear.missing for process in (writer, *readers))


async def test_one_who_comes_later_reads_what_was_written(redis_server: RedisServer) -> None:
    realm = f"test:{uuid.uuid4().hex}"
    async with company(redis_server.url, 1, realm=realm) as [writer]:
        writer.together.write(b"once")
    async with company(redis_server.url, 1, realm=realm) as [late]:
        await until(lambda: late.ear.lines == [b"once"])
        assert late.ear.missing == 0


async def test_a_lost_message_is_made_up_for(redis_server: RedisServer) -> None:
    async with company(redis_server.url) as (writer, deaf):
        await counted([writer, deaf], 2)
        deaf.together.news._task.cancel()
        writer.together.write(b"once")
        await until(lambda: deaf.ear.lines == [b"once"])


async def test_lines_that_nobody_can_read_any_more_are_missed(redis_server: RedisServer) -> None:
    async with company(redis_server.url) as (writer, reader):
        writer.together.write(b"first")
        await until(lambda: reader.ear.lines == [b"first"])
        names = reader.together._company
        await reader.link.redis.incr(names._numbers)
        writer.together.write(b"third")
        await until(lambda: reader.ear.lines == [b"first", b"third"])
        assert reader.ear.missing == 1


async def test_a_line_waits_until_redis_is_back_and_after_its_loss_of_memory(
    redis_server: RedisServer,
) -> None:
    async with company(redis_server.url) as (writer, reader):
        writer.together.write(b"first")
        await until(lambda: reader.ear.lines == [b"first"])
        redis_server.kill()
        await until(lambda: writer.link.is_away and reader.link.is_away)
        writer.together.write(b"second")
        redis_server.start()
        await until(lambda: reader.ear.lines == [b"first", b"second"])
        await counted([writer, reader], 2)
        assert reader.ear.missing == 1, "it cannot know that nothing was written between"

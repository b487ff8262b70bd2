"""Followers of the log: one reads for all, and none misses anything or holds up another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from functools import partial
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from app.cause import caused_by, ids
from app.errors import StoreUnavailable
from app.records.change import Change, ChangeLog, CursorGone, Told
from app.records.change_text import told_json
from app.records.tail import Tail
from tests.records.told import SqlitePlace, batch, changes_in, sqlite_place
from tests.waiting import until


class Counted:
    """A log that counts how often it is read, and fails while it is told to."""

    def __init__(self, log: ChangeLog) -> None:
        self._log = log
        self.reads = 0
        self.fails = False
        self.read_for: list[dict[str, str]] = []

    async def append(self, changes: Sequence[Change]) -> bool:
        return await self._log.append(changes)

    async def read(self, after: str, *, limit: int) -> list[Told]:
        self.reads += 1
        self._check()
        return await self._log.read(after, limit=limit)

    async def last(self) -> str:
        self._check()
        return await self._log.last()

    async def wait(self, after: str, *, within: float) -> bool:
        self._check()
        self.read_for.append(ids())
        return await self._log.wait(after, within=min(within, 0.05))

    async def aclose(self) -> None:
        await self._log.aclose()

    def _check(self) -> None:
        if self.fails:
            raise StoreUnavailable("somebody pulled the plug")


class Follower:
    """Follows by itself until it has ended; ``told`` is what it heard."""

    def __init__(self, tail: Tail, after: str = "") -> None:
        self.told: list[Told] = []
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.task = asyncio.create_task(self._run(tail, after))

    async def _run(self, tail: Tail, after: str) -> None:
        async with tail.follow(after) as pages:
            async for page in pages:
                assert all(line.text == told_json(line.told) for line in page)
                self.told += [line.told for line in page]
                await self.go_on.wait()

    async def end(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


def all_heard(followers: Sequence[Follower], count: int) -> bool:
    return all(len(one.told) == count for one in followers)


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[SqlitePlace]:
    async with sqlite_place(tmp_path) as found:
        yield found


async def test_everybody_hears_everything_from_where_it_began(place: SqlitePlace) -> None:
    log = await place.open()
    await log.append(batch(600))
    middle = (await log.read("", limit=300))[-1].cursor
    tail = Tail(log, told_json)
    old, half, new = Follower(tail), Follower(tail, middle), Follower(tail, await log.last())
    for draft in range(2, 20):
        await log.append(batch(100, draft=draft))
    whole = await log.read("", limit=10_000)
    await until(lambda: len(old.told) == 2400 and len(half.told) == 2100 and len(new.told) == 1800)
    assert (old.told, half.told, new.told) == (whole, whole[300:], whole[600:])
    for one in (old, half, new):
        await one.end()


async def test_what_is_read_for_all_belongs_to_nobody(place: SqlitePlace) -> None:
    log = Counted(await place.open())
    with caused_by(request_id="the-first"):
        follower = Follower(Tail(log, told_json))
    await until(lambda: log.read_for)
    await follower.end()
    assert log.read_for[0] == {}


async def test_the_log_is_read_once_for_all_that_follow_closely(place: SqlitePlace) -> None:
    log = Counted(await place.open())
    await log.append(batch(1))
    tail, after = Tail(log, told_json), await log.last()
    followers = [Follower(tail, after) for _ in range(50)]
    await log.append(batch(5, draft=2))
    await until(lambda: all(len(one.told) == 5 for one in followers))
    log.reads = 0
    for draft in range(3, 13):
        await log.append(batch(5, draft=draft))
        await until(partial(all_heard, followers, 5 * (draft - 1)))
    assert log.reads == 10
    for one in followers:
        await one.end()
    reads = log.reads
    await log.append(batch(5, draft=20))
    await asyncio.sleep(0.1)
    assert log.reads == reads, "nobody follows, nobody reads"


async def test_who_is_slow_loses_nothing_and_holds_up_nobody(place: SqlitePlace) -> None:
    log = await place.open()
    tail = Tail(log, told_json, window=50)
    slow, quick = Follower(tail), Follower(tail)
    await log.append(batch(10))
    await until(lambda: slow.told and quick.told)
    slow.go_on.clear()
    for draft in range(2, 12):
        await log.append(batch(100, draft=draft))
    await until(lambda: len(quick.told) == 1010)
    assert len(slow.told) < 1010
    slow.go_on.set()
    await until(lambda: len(slow.told) == 1010)
    assert slow.told == quick.told
    for one in (slow, quick):
        await one.end()


async def test_who_is_further_behind_than_is_kept_is_told_so(place: SqlitePlace) -> None:
    log = await place.open(keep=30)
    tail = Tail(log, told_json, window=10)
    slow = Follower(tail)
    await log.append(batch(10))
    await until(lambda: slow.told)
    slow.go_on.clear()
    await log.append(batch(20, draft=2))
    await until(lambda: len(slow.told) > 1)
    for draft in range(3, 9):
        await log.append(batch(30, draft=draft))
    await asyncio.sleep(0.1)
    slow.go_on.set()
    with pytest.raises(CursorGone):
        await slow.task


async def test_a_log_that_fails_for_a_while_is_gone_on_with(
    place: SqlitePlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.records.tail._PAUSE", 0.02)
    log = Counted(await place.open())
    tail = Tail(log, told_json)
    with capture_logs() as lines:
        one = Follower(tail)
        await log.append(batch(3))
        await until(lambda: len(one.told) == 3)
        log.fails = True
        await until(lambda: lines)
        await log.append(batch(3, draft=2))
        await asyncio.sleep(0.1)
        log.fails = False
        await until(lambda: len(one.told) == 6)
    assert changes_in(one.told) == [*batch(3), *batch(3, draft=2)]
    assert [line["event"] for line in lines] == ["changes are not read for those who follow"]
    await one.end()


async def test_a_log_that_was_lost_is_no_news(place: SqlitePlace) -> None:
    log = await place.open()
    await log.append(batch(3))
    one = Follower(Tail(log, told_json), await log.last())
    await asyncio.sleep(0.1)
    await place.lose()
    await log.append(batch(3))
    with pytest.raises(CursorGone):
        await one.task


async def test_an_empty_log_is_followed_too(place: SqlitePlace) -> None:
    log = await place.open()
    tail = Tail(log, told_json)
    one = Follower(tail)
    await asyncio.sleep(0.05)
    two = Follower(tail)
    await log.append(batch(3))
    await until(lambda: len(one.told) == len(two.told) == 3)
    for follower in (one, two):
        await follower.end()
    assert tail._reading is None

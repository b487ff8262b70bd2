"""The promises of ``app/records/change.py``, held by every log over a real engine."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.errors import StoreUnavailable
from app.records.change import Change, ChangeLog, CursorGone, Happened, Shift
from tests.real.redis import RedisServer, redis_process, redis_server  # noqa: F401 (fixtures)
from tests.records.told import (
    Place,
    batch,
    change,
    changes_in,
    everything,
    redis_place,
    sqlite_place,
)


@pytest.fixture(params=["sqlite", pytest.param("redis", marks=pytest.mark.real("redis"))])
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    if request.param == "sqlite":
        async with sqlite_place(tmp_path) as found:
            yield found
        return
    server: RedisServer = request.getfixturevalue("redis_server")
    async with redis_place(server.url) as in_redis:
        yield in_redis


@pytest.fixture
async def log(place: Place) -> ChangeLog:
    return await place.open()


async def test_nothing_is_told_yet(log: ChangeLog) -> None:
    assert await log.last() == ""
    assert await log.read("", limit=10) == []
    assert await log.append([])


async def test_changes_are_read_as_they_were_appended(log: ChangeLog) -> None:
    odd = Change(
        "clans",
        "ünï:1.2 \U0001f409",
        2**40,
        Happened.REMOVED,
        1_750_000_000.123456,
        '{"name":"\\u0000 ü", "deep" : [1,{}]}'.encode(),
        {
            "wei": Shift(10**30, -(10**30)),
            "list": Shift([1, None, {"a": True}], None),
            "ü": Shift(None, "\U0001f409\x00"),
            "share": Shift(0.1, 1.0),
        },
    )
    assert await log.append([odd])
    assert await log.append(batch(3))
    assert changes_in(await everything(log)) == [odd, *batch(3)]


async def test_pages_follow_each_other_without_a_gap(log: ChangeLog) -> None:
    for draft in range(1, 8):
        await log.append(batch(13, draft=draft))
    whole = await log.read("", limit=1000)
    assert changes_in(whole) == [one for draft in range(1, 8) for one in batch(13, draft=draft)]
    assert len({told.cursor for told in whole}) == 91
    assert await everything(log, limit=9) == whole
    assert await everything(log, after=whole[40].cursor) == whole[41:]
    assert await log.last() == whole[-1].cursor


async def test_an_older_draft_is_refused_as_a_whole(log: ChangeLog) -> None:
    assert await log.append(batch(2, draft=5))
    assert not await log.append(batch(9, draft=4))
    assert await log.append(batch(1, draft=1, kind="clans"))
    assert changes_in(await everything(log)) == [
        *batch(2, draft=5),
        *batch(1, draft=1, kind="clans"),
    ]


async def test_what_is_there_is_not_written_again(log: ChangeLog) -> None:
    assert await log.append(batch(4))
    assert await log.append(batch(4))
    assert await log.append(batch(6))
    assert await log.append(batch(2, first=1))
    assert changes_in(await everything(log)) == batch(6)


async def test_ids_are_in_the_order_of_their_text(log: ChangeLog) -> None:
    ids = sorted(["9", "10", "Z", "a", "é", "z", "\uffff", "\U00010000"])
    for id_ in ids:
        assert await log.append([change(id_)])
        assert await log.append([change("9")])
    assert [told.change.id for told in await everything(log)] == ids


async def test_only_the_newest_are_kept_and_nobody_is_told_a_list_with_a_hole(
    place: Place,
) -> None:
    log = await place.open(keep=20)
    await log.append(batch(1, kind="clans"))
    first = await log.last()
    await log.append(batch(5))
    assert len(await everything(log, after=first)) == 5
    for draft in range(2, 12):
        await log.append(batch(100, draft=draft))
    kept = await everything(log)
    assert 20 <= len(kept) < 300
    assert changes_in(kept)[-20:] == batch(100, draft=11)[-20:]
    with pytest.raises(CursorGone, match="no longer kept"):
        await log.read(first, limit=10)
    assert await everything(log, after=kept[0].cursor) == kept[1:]
    # How far each has come is remembered longer than the changes are.
    assert await log.append(batch(1, kind="clans"))
    assert await everything(log) == kept


@pytest.mark.parametrize(
    "cursor",
    ["x", "0", "1", "-", "0-0", "1-1-1", "(0-0", "$", "9" * 30, f"{'9' * 30}-0", ".", ".1", "é.1"],
)
async def test_what_is_no_cursor_is_told_so(log: ChangeLog, cursor: str) -> None:
    await log.append(batch(2))
    with pytest.raises(CursorGone):
        await log.read(cursor, limit=10)


async def test_cursors_of_a_log_that_was_lost_are_gone(place: Place) -> None:
    log = await place.open()
    await log.append(batch(3))
    cursors = [told.cursor for told in await everything(log)]
    await place.lose()
    assert await log.append(batch(9))
    for cursor in cursors:
        with pytest.raises(CursorGone):
            await log.read(cursor, limit=10)
        assert await log.wait(cursor, within=5)
    assert changes_in(await everything(log)) == batch(9)


@pytest.mark.parametrize("by", ["this one", "another process"])
async def test_who_waits_is_told_of_what_is_appended(place: Place, by: str) -> None:
    log = await place.open()
    other = log if by == "this one" else await place.open()
    after = ""
    for draft in range(1, 4):
        waiting = [asyncio.create_task(log.wait(after, within=30)) for _ in range(3)]
        await asyncio.sleep(0.02)
        assert not any(task.done() for task in waiting)
        await other.append(batch(2, draft=draft))
        assert await asyncio.gather(*waiting) == [True] * 3
        after = await log.last()


async def test_waiting_ends_in_its_time(log: ChangeLog) -> None:
    assert not await log.wait("", within=0.05)
    assert not await log.wait("", within=0)
    await log.append(batch(2))
    assert await log.wait("", within=30)
    newest = await log.last()
    began = time.monotonic()
    assert not await log.wait(newest, within=0.1)
    assert time.monotonic() - began >= 0.1


async def test_publishers_that_run_at_once_tell_each_change_once_and_in_order(
    place: Place,
) -> None:
    logs = [await place.open() for _ in range(3)]

    async def publish(log: ChangeLog) -> None:
        for draft in range(1, 6):
            changes = batch(40, draft=draft)
            for at in range(0, 40, 8):
                await log.append(changes[at : at + 8])

    await asyncio.gather(*map(publish, logs))
    seen: dict[str, list[int]] = defaultdict(list)
    for one in changes_in(await everything(logs[0])):
        seen[one.id].append(one.draft)
    assert len(seen) == 40
    assert all(drafts == [1, 2, 3, 4, 5] for drafts in seen.values())


async def test_a_batch_is_seen_as_a_whole(place: Place) -> None:
    log, reader = await place.open(), await place.open()
    done = asyncio.Event()

    async def append() -> None:
        for draft in range(1, 13):
            await log.append(batch(50, draft=draft))
        done.set()

    appending = asyncio.create_task(append())
    while not done.is_set():
        assert len(await reader.read("", limit=10_000)) % 50 == 0
    await appending
    assert len(await reader.read("", limit=10_000)) == 12 * 50


async def test_a_closed_log_says_so(log: ChangeLog) -> None:
    await log.append(batch(1))
    await log.aclose()
    await log.aclose()
    for call in (log.append(batch(1)), log.read("", limit=1), log.last(), log.wait("", within=1)):
        with pytest.raises(StoreUnavailable):
            await call

"""All rows of a collection: parts, pages, and where they end."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import pytest

from app.errors import SyncError
from app.kingdom.catalogue import OPERATIONS
from app.kingdom.collections import COLLECTIONS, CORE_DATA, ITEMS, Collection, Extent
from app.sync.pages import Page, Pages
from tests.sync.serving_rows import NOW, Clock, Table, numbered
from tests.waiting import until

BY_NAME = {operation.name: operation for operation in OPERATIONS}
PLAIN = replace(ITEMS, key="id")


def pages_of(table: Table, collection: Collection, **settings: Any) -> Pages:
    operation = BY_NAME[collection.operation]
    return Pages(table, collection, operation, wall=Clock(), **settings)


async def read(table: Table, collection: Collection, **settings: Any) -> list[Page]:
    return [page async for page in pages_of(table, collection, **settings).read()]


@pytest.mark.parametrize(
    ("rows", "calls"), [(0, 1), (1, 1), (999, 1), (1000, 2), (1001, 2), (2000, 3), (2500, 3)]
)
async def test_pages_are_asked_for_until_one_is_short(rows: int, calls: int) -> None:
    table = Table(numbered(rows))
    pages = await read(table, PLAIN)
    assert [row.id for page in pages for row in page.rows] == [str(n) for n in range(rows)]
    skips = [given["numToSkip"] for _, _, given in table.asked]
    assert skips == [str(1000 * number) for number in range(calls)]
    assert [page.last for page in pages] == [False] * (calls - 1) + [True]
    assert [page.first for page in pages] == [True] + [False] * (calls - 1)
    assert {page.at for page in pages} == {NOW}


async def test_the_order_and_what_is_fixed_are_in_every_call() -> None:
    table = Table(numbered(1001))
    await read(table, COLLECTIONS["players"])
    for _, _, given in table.asked:
        del given["numToSkip"]
        assert given == {
            "simplified": "true",
            "isActive": "true",
            "orderBy": "mintedNumber",
            "orderDirection": "asc",
            "numToFetch": "1000",
        }


async def test_an_upstream_that_gives_pages_of_its_own_size_is_read_to_the_end() -> None:
    """``/base-pets`` gives 100 unless it is told otherwise, and might not heed what it is told."""
    table = Table(numbered(250), cap=100)
    pages = await read(table, COLLECTIONS["base-pets"])
    assert [len(page.rows) for page in pages] == [100, 100, 50]


async def test_what_has_no_pages_is_asked_once() -> None:
    table = Table(numbered(1500))
    [page] = await read(table, COLLECTIONS["avatars"])
    assert len(page.rows) == 1500
    assert table.asked == [("avatars", {}, {})]


async def test_each_value_of_a_fan_is_asked_for() -> None:
    table = Table(numbered(3))
    pages = await read(table, COLLECTIONS["action-choices"])
    values = [values["actionId"] for _, values, _ in table.asked]
    assert values == [page.part for page in pages] == ["0", "1000", "1100", "1200", "1300", "3000",
                                                       "4000", "4500", "5000"]  # fmt: skip
    assert all(page.first and page.last for page in pages)


async def test_a_fan_may_be_in_the_query() -> None:
    table = Table(numbered(3))
    fanned = replace(COLLECTIONS["orders"], fan=("side", ("buy", "sell")))
    assert len(await read(table, fanned)) == 2
    assert [given["side"] for _, _, given in table.asked] == ["buy", "sell"]


class OneObject(Table):
    """Gives one object where the operation does."""

    async def ask(self, operation: Any, values: Any, query: Any) -> Any:
        answer = await super().ask(operation, values, query)
        return replace(answer, body=b'{"coreData":{"totalPlayers":"5"}}')


async def test_what_there_is_one_of_is_one_row() -> None:
    table = OneObject()
    [page] = await read(table, CORE_DATA)
    assert [(row.id, row.raw) for row in page.rows] == [("core-data", b'{"totalPlayers":"5"}')]
    assert table.asked == [("core-data", {}, {})]


async def test_one_object_of_many_may_be_missing() -> None:
    pages = await read(Table(status=404), COLLECTIONS["promotions"])
    assert [(page.part, page.rows) for page in pages] == [(str(n), []) for n in range(1, 7)]


@pytest.mark.parametrize("status", [404, 422, 500])
async def test_another_status_ends_the_run(status: int) -> None:
    with pytest.raises(SyncError, match=str(status)):
        await read(Table(status=status), PLAIN)


async def test_the_part_that_failed_is_named() -> None:
    def before(number: int) -> None:
        table.status = 500 if number == 3 else 404

    table = Table(before=before)
    with pytest.raises(SyncError, match="500 for 3"):
        await read(table, COLLECTIONS["promotions"])


async def test_an_upstream_without_end_is_given_up() -> None:
    table = Table(numbered(5000))
    pages = pages_of(table, PLAIN, most_rows=3000)
    with pytest.raises(SyncError, match="more than 3000 rows"):
        async for _ in pages.read():
            pass
    assert pages.calls == 4


async def test_the_next_page_is_on_its_way_while_one_is_worked_on() -> None:
    table = Table(numbered(2500))
    async with aclosing(pages_of(table, PLAIN).read()) as pages:
        await anext(pages)
        await until(lambda: len(table.asked) == 2)
        await anext(pages)
        await until(lambda: len(table.asked) == 3)
        assert (await anext(pages)).last
    assert len(table.asked) == 3


async def test_of_the_newest_rows_no_page_is_asked_for_before_it_is_wanted() -> None:
    table = Table(numbered(2500))
    async with aclosing(pages_of(table, replace(PLAIN, extent=Extent.NEWEST)).read()) as pages:
        await anext(pages)
        await asyncio.sleep(0.01)
    assert len(table.asked) == 1


async def test_whoever_stops_reading_leaves_no_call_behind() -> None:
    class Stuck(Table):
        async def ask(self, operation: Any, values: Any, query: Any) -> Any:
            if self.asked:
                await asyncio.Event().wait()
            return await super().ask(operation, values, query)

    async with aclosing(pages_of(Stuck(numbered(2500)), PLAIN).read()) as pages:
        await anext(pages)
        await asyncio.sleep(0.01)
    assert [task for task in asyncio.all_tasks() if task.get_name() == "sync-page"] == []


async def test_rows_of_another_kind_end_the_run() -> None:
    with pytest.raises(SyncError, match="tokenId"):
        await read(Table(numbered(3)), ITEMS)

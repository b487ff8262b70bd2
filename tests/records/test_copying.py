"""Copies of stores that change while they are copied. Over all kinds: ``tests/backup``."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from app.backup.places import FilePlace, open_file
from app.errors import StoreError
from app.records.copying import copy_changes, copy_history, copy_records
from tests.backup.contents import contents, fill, row, run


@asynccontextmanager
async def two(folder: Path) -> AsyncIterator[tuple[FilePlace, FilePlace]]:
    """One that is full, and an empty one."""
    async with open_file(folder / "one") as source, open_file(folder / "other") as target:
        source.numbers.next = 1_790_000_000
        await fill(source.records, source.history, source.changes)
        yield source, target


def unwatched(what: str, count: int) -> None:
    """Nobody looks how far it is."""


async def test_numbers_are_kept(tmp_path: Path) -> None:
    async with two(tmp_path) as (source, target):
        copied = await copy_records(source.records, target.records, target.numbers, unwatched)
        kept = await source.records.generations()
        assert copied == {one.collection: one.number for one in kept}
        assert await target.records.generations() == kept


async def test_a_collection_that_changes_meanwhile_is_copied_anew(tmp_path: Path) -> None:
    async with two(tmp_path) as (source, target):
        changed: list[str] = []

        def watch(what: str, count: int) -> None:
            changed.append(what)

        class Moving:
            """``source``, in which a run commits right after the first page is read."""

            def __getattr__(self, name: str) -> object:
                return getattr(source.records, name)

            async def scan(self, collection: str, **asked: object) -> object:
                page = await source.records.scan(collection, **asked)  # type: ignore[arg-type]
                if collection == "players" and "players" not in changed:
                    await run(source.records, "players", [row(n, 4242, 1e9) for n in range(40)])
                return page

        await copy_records(Moving(), target.records, target.numbers, watch)  # type: ignore[arg-type]
        await copy_history(source.history, target.history, unwatched)
        await copy_changes(source.changes, target.changes, None, unwatched)
        assert changed.count("players") == 2
        parts = [(one.records, one.history, one.changes) for one in (source, target)]
        assert await contents(*parts[0]) == await contents(*parts[1])


async def test_one_that_never_stands_still_is_given_up(tmp_path: Path) -> None:
    async with two(tmp_path) as (source, target):

        class Restless:
            def __getattr__(self, name: str) -> object:
                return getattr(source.records, name)

            async def scan(self, collection: str, **asked: object) -> object:
                await run(source.records, collection, [row(1, 1, 1e9)])
                return await source.records.scan(collection, **asked)  # type: ignore[arg-type]

        with pytest.raises(StoreError, match="clans changed 20 times"):
            await copy_records(Restless(), target.records, target.numbers, unwatched)  # type: ignore[arg-type]


async def test_changes_are_copied_up_to_what_there_is_of_the_rows(tmp_path: Path) -> None:
    async with two(tmp_path) as (source, target):
        newest = {one.collection: one.number for one in await source.records.generations()}
        del newest["items"]
        newest["players"] -= 1
        await copy_changes(source.changes, target.changes, newest, unwatched)
        told = [one.change for one in await target.changes.read("", limit=10_000)]
        assert {change.kind for change in told} == {"clans", "players"}
        assert max(one.draft for one in told if one.kind == "players") <= newest["players"]
        count = len(told)
        await copy_changes(source.changes, target.changes, newest, unwatched)
        assert len(await target.changes.read("", limit=10_000)) == count, "each is there once"

"""The record store on MongoDB's protocol: what comes late, and what is too large."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pymongo import MongoClient

from app.errors import StoreError, StoreUnavailable
from app.records.mongo import MAX_BYTES, MongoRecords
from app.records.store import Draft, Generation
from app.storage.mongo_link import MongoLink
from tests.real.mongodb import MongoServer
from tests.records.engines import Wall, version

pytestmark = pytest.mark.real("mongodb")


@pytest.fixture
async def store(mongo_server: MongoServer, mongo_database: str) -> AsyncIterator[MongoRecords]:
    made = MongoRecords(MongoLink(mongo_server.uri, mongo_database, timeout=30.0), wall=Wall(0.0))
    yield made
    await made.aclose()


@pytest.fixture
def database(mongo_server: MongoServer, mongo_database: str) -> Any:
    with MongoClient[dict[str, Any]](mongo_server.uri) as client:
        yield client[mongo_database]


async def committed(store: MongoRecords, text: str) -> Draft:
    draft = await store.begin("players")
    await store.stage(draft, [version("1", text)])
    await store.commit(Generation("players", draft.number, 1.0, 1))
    await store.mark_published("players", draft.number)
    return draft


async def test_what_a_void_draft_writes_after_it_was_forgotten_is_never_seen(
    store: MongoRecords, database: Any
) -> None:
    """As of a writer that stood still between its look at the course and its insert."""
    void = await store.begin("players")
    await store.stage(void, [version("1", "void")])
    [late] = list(database.records_versions_players.find({}))
    await committed(store, "a")
    assert await store.prune("players") == 1
    newest = await committed(store, "b")
    database.records_versions_players.insert_one(late)
    database.records_versions_players.insert_one(late | {"_id": "late", "id": "2"})
    assert await store.find("players", ["1", "2"]) == {"1": version("1", "b")}
    assert await store.scan("players", after=None, limit=9) == [version("1", "b")]
    told = await store.differences("players", after=(0, ""), limit=9)
    assert [(one.number, one.before) for one in told] == [(newest.number, version("1", "a"))]


async def test_old_generations_and_courses_are_forgotten(
    store: MongoRecords, database: Any
) -> None:
    for text in "abcdefgh":
        await committed(store, text)
    assert database.records_generations.count_documents({}) == 1
    assert database.records_courses.count_documents({}) == 8
    kept = await store.generation("players")
    assert kept is not None
    assert kept.number == kept.published == 8


async def test_a_generation_that_somebody_removed_is_missed_in_words(
    store: MongoRecords, database: Any
) -> None:
    await committed(store, "a")
    database.records_generations.delete_many({})
    with pytest.raises(StoreError, match="sync it again"):
        await store.generation("players")


async def test_what_is_too_large_for_a_document_is_refused(store: MongoRecords) -> None:
    draft = await store.begin("players")
    large = bytes(MAX_BYTES + 1)
    facts = {"noted": "x" * MAX_BYTES}
    for call in (
        store.stage(draft, [version("1", raw=large)]),
        store.commit(Generation("players", draft.number, 1.0, 1, facts=facts)),
    ):
        with pytest.raises(StoreError, match="more than MongoDB takes") as refused:
            await call
        assert not isinstance(refused.value, StoreUnavailable)
    await store.stage(draft, [version("1", raw=large[1:])])
    order = tuple(str(number) for number in range(100_000))
    kept = Generation("players", draft.number, 1.0, 100_000, order)
    await store.commit(kept)
    assert await store.generation("players") == kept


async def test_a_row_is_looked_up_through_an_index(store: MongoRecords, database: Any) -> None:
    await committed(store, "a")
    indexes = database.records_versions_players.index_information().values()
    assert [index["key"] for index in indexes] == [[("_id", 1)], [("id", 1), ("draft", 1)]]


async def test_many_stores_may_begin_at_once(
    mongo_server: MongoServer, mongo_database: str
) -> None:
    links = [MongoLink(mongo_server.uri, mongo_database, timeout=30.0) for _ in range(4)]
    stores = [MongoRecords(link, wall=Wall(0.0)) for link in links]
    drafts = await asyncio.gather(*(one.begin("players") for one in stores for _ in range(5)))
    assert sorted(draft.number for draft in drafts) == list(range(1, 21))
    await asyncio.gather(*(one.aclose() for one in stores))

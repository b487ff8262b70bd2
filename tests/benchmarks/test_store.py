"""The rows that are put in bulk are those that the store itself would have written."""

from __future__ import annotations

from typing import Any

import pytest
from pymongo import AsyncMongoClient

from app.cache.mongo import MongoStore
from benchmarks.store import entry, insert
from tests.real.mongodb import MongoServer


def test_an_entry_is_always_the_same_and_like_no_other() -> None:
    assert entry(7) == entry(7)
    assert len({entry(number).key for number in range(100)}) == 100
    assert len({entry(number).body for number in range(100)}) == 100
    assert 1_000 <= len(entry(7).body) <= 1_100


@pytest.mark.real("mongodb")
async def test_documents_put_in_bulk_are_those_of_the_store(
    mongo_server: MongoServer, mongo_database: str
) -> None:
    store = MongoStore(mongo_server.uri, mongo_database, timeout=10.0)
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(mongo_server.uri)
    responses = client[mongo_database]["responses"]
    try:
        await store.put(entry(1))
        written = await responses.find_one({"_id": entry(1).key})
        await store.clear()
        await insert(responses, [entry(1), entry(2)])
        assert await responses.find_one({"_id": entry(1).key}) == written
        assert await store.get(entry(2).key) == entry(2)
        assert (await store.stats()).entries == 2
    finally:
        await store.aclose()
        await client.close()

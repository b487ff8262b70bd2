"""Where in a MongoDB the records are: exchanged at once, and never of a newer schema."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from app.errors import StoreUnavailable
from app.records.mongo import MongoRecords
from app.records.mongo_home import MongoHome, clear_out, free_home, home_of, is_empty, move
from app.records.store import DraftVoid, RecordStore
from app.storage.mongo_link import MongoLink
from tests.backup.contents import row, run
from tests.real.mongodb import MongoServer, mongo_database, mongo_server
from tests.records.engines import Wall

__all__ = ["mongo_database", "mongo_server"]
pytestmark = pytest.mark.real("mongodb")


@pytest.fixture
async def link(mongo_server: MongoServer, mongo_database: str) -> AsyncIterator[MongoLink]:
    made = MongoLink(mongo_server.uri, mongo_database, timeout=30.0)
    yield made
    await made.aclose()


@pytest.fixture
def clock() -> Wall:
    return Wall(0.0)


@pytest.fixture
async def store(
    mongo_server: MongoServer,
    mongo_database: str,
    clock: Wall,
) -> AsyncIterator[RecordStore]:
    """One that goes wherever the records are."""
    home = MongoHome(mongo_server.uri, mongo_database, timeout=30.0, clock=clock)
    made = MongoRecords(home, wall=Wall())
    yield made
    await made.aclose()


async def test_whoever_uses_it_moves_over_and_drafts_of_before_are_void(
    mongo_server: MongoServer,
    mongo_database: str,
    link: MongoLink,
    store: RecordStore,
    clock: Wall,
) -> None:
    assert await link.ask(is_empty)
    await run(store, "clans", [row(1, 1, 1e9)])
    assert not await link.ask(is_empty)
    draft = await store.begin("clans")
    number = await link.ask(free_home)
    assert number == 1
    fresh = MongoHome(mongo_server.uri, mongo_database, timeout=30.0, number=number)
    other = MongoRecords(fresh, wall=Wall())
    await run(other, "items", [row(2, 2, 1e9)])
    assert [one.collection for one in await store.generations()] == ["clans"]
    for _ in range(2):
        await link.ask(lambda database: move(database, number))
    clock.now += 6
    assert [one.collection for one in await store.generations()] == ["items"]
    with pytest.raises(DraftVoid):
        await store.stage(draft, [row(3, 3, 1e9)])
    await link.ask(clear_out)
    names = await link.ask(lambda database: database.list_collection_names())
    assert {name for name in names if not name.startswith("restored1_")} == {"records_homes"}
    assert await other.find("items", ["2"]) == {"2": row(2, 2, 1e9)}
    await other.aclose()


async def test_what_a_newer_program_wrote_is_refused(link: MongoLink, store: RecordStore) -> None:
    later = {"_id": "000003", "schema": 2}
    await link.ask(lambda database: database["records_homes"].insert_one(later))
    for refused in (store.ping(), store.begin("clans"), link.ask(home_of)):
        with pytest.raises(StoreUnavailable, match="newer Drawbridge"):
            await refused

"""What only the distributed history has: documents of a week, and writers that race."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from typing import Any

import pytest
from bson import encode

from app.records.history import Point, Series
from app.records.mongo_history import MongoHistory, _thinned
from app.storage.mongo_link import MongoLink
from tests.real.mongodb import MongoServer, mongo_database, mongo_server
from tests.records.histories import DAY, PATIENCE, TODAY, every

__all__ = ["mongo_database", "mongo_server"]
pytestmark = pytest.mark.real("mongodb")

XP = Series("players", "1", "meleeXP")
MONDAY = TODAY // 7 * 7
"""The first day of a week of ours, whatever the calendar says."""
START = MONDAY * DAY


@pytest.fixture
async def link(mongo_server: MongoServer, mongo_database: str) -> AsyncIterator[MongoLink]:
    made = MongoLink(mongo_server.uri, mongo_database, timeout=PATIENCE)
    yield made
    await made.aclose()


@pytest.fixture
def history(link: MongoLink) -> MongoHistory:
    return MongoHistory(link)


async def documents(link: MongoLink) -> list[dict[str, Any]]:
    return await link.ask(lambda found: found["records_history"].find({}).sort("_id", 1).to_list())


async def test_a_document_is_a_week_of_a_row(history: MongoHistory, link: MongoLink) -> None:
    vaults = Series("clans", "a/b", "lockedBankVaults.amount")
    await history.add(
        [
            (XP, Point(START - 1, "1")),
            (XP, Point(START, "2")),
            (Series("players", "1", "totalXP"), Point(START + 305, "3")),
            (vaults, Point(START + 7 * DAY - 1, "4")),
        ]
    )
    week, day = TODAY // 7, TODAY // 7 * 7
    assert await documents(link) == [
        {
            "_id": f"clans/a%2Fb/{week:05}",
            "due": day + 9,
            "writes": 1,
            "points": {"lockedBankVaults%2Eamount": {"2015": "299 4"}},
        },
        {
            "_id": f"players/1/{week - 1:05}",
            "due": day + 2,
            "writes": 1,
            "points": {"meleeXP": {"2015": "299 1"}},
        },
        {
            "_id": f"players/1/{week:05}",
            "due": day + 3,
            "writes": 1,
            "points": {"meleeXP": {"0": "0 2"}, "totalXP": {"1": "5 3"}},
        },
    ]


async def test_what_was_added_while_it_is_thinned_is_not_missed(
    history: MongoHistory, link: MongoLink
) -> None:
    """The update is that of somebody who read before the last points were added."""
    await history.add([(XP, point) for point in every(600, [-20])])
    [seen] = await documents(link)
    update, gone = _thinned(seen, TODAY)
    assert gone == 120
    late = Point((TODAY - 20) * DAY + 301, "late")
    await history.add([(XP, late)])
    await history._write([update])
    [now] = await documents(link)
    assert len(now["points"]["meleeXP"]) == 145
    assert now["due"] == seen["due"]
    assert (await history.thin(TODAY * DAY, limit=10)).forgotten == 121


async def test_what_is_as_coarse_as_can_be_is_in_no_index(
    history: MongoHistory, link: MongoLink
) -> None:
    await history.add([(XP, Point(START - 100 * DAY, "5"))])
    await history.thin(START, limit=10)
    [document] = await documents(link)
    assert "due" not in document
    assert [*document["points"]["meleeXP"].values()] == ["0 5"]


async def test_more_documents_at_once_than_the_server_can_take(
    history: MongoHistory, link: MongoLink
) -> None:
    points = [
        (Series("players", str(number), "totalXP"), Point(START + 300 * step, "1"))
        for number in range(130)
        for step in (0, 1)
    ]
    for _ in range(2):
        await history.add(points)
    assert (await history.thin(START + 4 * DAY, limit=1_000)) == (130, 130)
    assert len(await documents(link)) == 130


async def test_a_point_takes_few_bytes(history: MongoHistory, link: MongoLink) -> None:
    """As ``docs/reference/history.md`` says of BSON, before the server compresses it."""
    rng = random.Random(1)
    points = [
        (Series("players", str(200_000 + number), "meleeXP"), Point(at, str(rng.randrange(10**7))))
        for number in range(3)
        for at in range(START, START + 7 * DAY, 3600)
    ]
    await history.add(points)
    size = sum(len(encode(document)) for document in await documents(link))
    assert size / len(points) < 26

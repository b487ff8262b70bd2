"""A course on a server that promises nothing but that no ``_id`` is there twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from app.records import mongo_courses
from app.records.course import Course
from app.records.mongo_courses import between, course_of, courses, key, step
from app.storage.mongo_link import Database, MongoLink
from tests.real.mongodb import MongoServer

pytestmark = pytest.mark.real("mongodb")


@pytest.fixture
async def link(mongo_server: MongoServer, mongo_database: str) -> AsyncIterator[MongoLink]:
    made = MongoLink(mongo_server.uri, mongo_database, timeout=30.0)
    yield made
    await made.aclose()


def further(course: Course) -> Course:
    return course.begun(0.0)


def test_keys_are_in_order_of_the_numbers() -> None:
    keys = [key("clans", number) for number in (0, 9, 10, 1_750_000_000, 10**12 - 1)]
    assert keys == sorted(keys)
    condition = between("clans")
    assert all(condition["$gte"] <= one <= condition["$lte"] for one in keys)
    assert not condition["$gte"] <= key("clans-of-old", 5) <= condition["$lte"]


async def test_no_step_is_lost_among_many_at_once(link: MongoLink) -> None:
    await asyncio.gather(
        *(link.ask(lambda database: step(database, "players", further)) for _ in range(25))
    )
    course = await link.ask(lambda database: course_of(database, "players"))
    assert (course.draft, course.voids) == (25, ((1, 24),))


async def test_nothing_is_written_where_nothing_changes(link: MongoLink) -> None:
    await link.ask(lambda database: step(database, "players", lambda course: course))
    assert await link.ask(courses) == {}


async def test_who_stood_still_while_others_went_on_looks_again(link: MongoLink) -> None:
    """He decided by a course whose place was taken, and given free again, meanwhile."""
    seen: list[int] = []

    def decide_late(course: Course) -> Course:
        seen.append(course.draft)
        return replace(course.begun(0.0), published=course.draft)

    async def late(database: Database) -> Course:
        number, before = await mongo_courses._last(database, "players")
        after = decide_late(before)
        for _ in range(3 * mongo_courses._KEPT):
            await step(database, "players", further)
        assert not await mongo_courses._taken(database, "players", number + 1, after)
        return await step(database, "players", decide_late)

    await link.ask(lambda database: step(database, "players", further))
    course = await link.ask(late)
    assert seen == [1, 25]
    assert course.draft == 26
    kept = await link.ask(lambda database: database[mongo_courses.NAME].find({}).to_list())
    assert len(kept) == mongo_courses._KEPT

"""The courses of collections in a MongoDB, or in what speaks its protocol.

The one thing that all such servers do atomically is to refuse a second document of the same
``_id``: FerretDB 1.24 lets two conditional updates win (FerretDB/FerretDB#3040), and has no
transactions. So a course is a row of numbered documents, of which the last one holds, and a step
is taken by whoever inserts the next one; everybody else looks again.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from app.records.course import Course
from app.storage.mongo_link import Database, DuplicateKeyError

NAME = "records_courses"
"""The collection that they are in."""

_KEPT = 8
"""So many documents of a course are kept; one would do, see ``_taken``."""
_DIGITS = 12


def key(collection: str, number: int) -> str:
    """The ``_id`` of a collection's document ``number``; in order of the numbers."""
    return f"{collection}/{number:0{_DIGITS}}"


def between(collection: str, first: int = 0, last: int = 10**_DIGITS - 1) -> dict[str, str]:
    """The condition for those from ``first`` to ``last``."""
    return {"$gte": key(collection, first), "$lte": key(collection, last)}


async def course_of(database: Database, collection: str) -> Course:
    """The course as it is now."""
    return (await _last(database, collection))[1]


async def courses(database: Database) -> dict[str, Course]:
    """All courses, by the name of the collection."""
    documents = await database[NAME].find({}).sort("_id", 1).to_list()
    return {document["_id"].rpartition("/")[0]: _course(document) for document in documents}


async def step(database: Database, collection: str, decide: Callable[[Course], Course]) -> Course:
    """Take the step that ``decide`` makes of the course; the course after it."""
    while True:
        number, before = await _last(database, collection)
        after = decide(before)
        if after == before or await _taken(database, collection, number + 1, after):
            return after


async def _last(database: Database, collection: str) -> tuple[int, Course]:
    newest = database[NAME].find({"_id": between(collection)}).sort("_id", -1).limit(1)
    for document in await newest.to_list():
        return int(document["_id"].rpartition("/")[2]), _course(document)
    return 0, Course()


async def _taken(database: Database, collection: str, number: int, course: Course) -> bool:
    stored = database[NAME]
    document: dict[str, Any] = {
        "_id": key(collection, number),
        "draft": course.draft,
        "number": course.number,
        "published": course.published,
        "pruned": course.pruned,
        "voids": json.dumps(course.voids),  # lists of lists are not for all
    }
    try:
        await stored.insert_one(document)
    except DuplicateKeyError:
        return False
    # Old ones are removed from the front: while the one before ours is there, none was removed
    # from the place that we took. Whoever stood still for long takes a place far behind.
    if number > 1 and await stored.find_one({"_id": key(collection, number - 1)}) is None:
        await stored.delete_one({"_id": document["_id"]})
        return False
    await stored.delete_many({"_id": between(collection, 0, number - _KEPT)})
    return True


def _course(document: dict[str, Any]) -> Course:
    return Course(
        draft=document["draft"],
        number=document["number"],
        published=document["published"],
        pruned=document["pruned"],
        voids=tuple((first, last) for first, last in json.loads(document["voids"])),
    )

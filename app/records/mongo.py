"""The distributed record store: collections of a MongoDB, or of what speaks its protocol.

Nothing is updated here that two could want to change: a collection's course is taken step by step
(``app/records/mongo_courses.py``), and versions are inserted under their draft's number, count or
do not count by it, and are forgotten when nobody can ask for them any more.

In ``records_versions_<name>`` are the versions of a collection; ``records_courses``,
``records_generations`` and ``records_jobs`` hold the rest.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Sequence
from dataclasses import asdict
from itertools import groupby
from typing import Any, TypeVar

from app.errors import StoreError
from app.records import mongo_courses
from app.records.course import Course
from app.records.mongo_courses import between, course_of, courses, key, step
from app.records.store import Difference, Draft, Generation, JobState, Version
from app.storage.mongo_link import (
    SCAN,
    BulkWriteError,
    Database,
    Documents,
    DuplicateKeyError,
    MongoLink,
)

T = TypeVar("T")
Document = dict[str, Any]

_GENERATIONS, _JOBS = "records_generations", "records_jobs"
_TOGETHER = 1_000
"""So many documents are named in one question."""
_DUPLICATE = 11000
_BY_ROW = [("id", 1), ("draft", 1)]


class MongoRecords:
    """A ``RecordStore`` over ``link``, which is closed with it. ``wall``: the wall time.

    A row, and a collection's order and facts, may have 15 MB; more is refused with ``StoreError``.
    """

    name = "mongodb"

    def __init__(self, link: MongoLink, *, wall: Callable[[], float]) -> None:
        self._link = link
        self._wall = wall
        self._indexed: set[str] = set()

    async def begin(self, collection: str) -> Draft:
        now = self._wall()

        async def begin(database: Database) -> Draft:
            course = await step(database, collection, lambda course: course.begun(now))
            return Draft(collection, course.draft, await _generation(database, collection))

        return await self._link.ask(begin)

    async def stage(self, draft: Draft, versions: Sequence[Version]) -> None:
        # By id: of two of the same row the later one is meant.
        documents = {version.id: _document(draft.number, version) for version in versions}

        async def stage(database: Database) -> None:
            course = await course_of(database, draft.collection)
            course.staging(draft.number)
            if draft.collection not in self._indexed:
                await _versions(database, draft.collection).create_index(_BY_ROW)
                self._indexed.add(draft.collection)
            if documents:
                await _insert(_versions(database, draft.collection), list(documents.values()))

        await self._link.ask(stage)

    async def commit(self, generation: Generation) -> None:
        document = _generation_document(generation)

        async def commit(database: Database) -> None:
            collection, number = generation.collection, generation.number
            course = await course_of(database, collection)
            if course.number == number:
                return
            course.committed(number)  # nothing is written for a void draft
            generations = database[_GENERATIONS]
            await generations.replace_one({"_id": document["_id"]}, document, upsert=True)
            await step(database, collection, lambda course: course.committed(number))
            await generations.delete_many({"_id": between(collection, 0, number - 1)})

        await self._link.ask(commit)

    async def generation(self, collection: str) -> Generation | None:
        return await self._link.ask(lambda database: _generation(database, collection))

    async def generations(self) -> list[Generation]:
        return await self._link.ask(_generations)

    async def find(self, collection: str, ids: Collection[str]) -> dict[str, Version]:
        wanted = sorted(set(ids))

        async def find(database: Database, course: Course) -> list[Version]:
            found = []
            for start in range(0, len(wanted), _TOGETHER):
                among = {"id": {"$in": wanted[start : start + _TOGETHER]}}
                rows = _versions(database, collection).find(among)
                found += [_version(document) for document in _newest(await rows.to_list(), course)]
            return found

        return {version.id: version for version in await self._view(collection, find)}

    async def scan(self, collection: str, *, after: str | None, limit: int) -> list[Version]:
        behind = {} if after is None else {"id": {"$gt": after}}

        async def scan(database: Database, course: Course) -> list[Version]:
            found: list[Version] = []
            rows = _versions(database, collection).find(behind).sort(_BY_ROW).batch_size(limit)
            async for row in _rows(rows):
                found += [_version(document) for document in _newest(row, course)]
                if len(found) >= limit:
                    break
            await rows.close()
            return found

        return await self._view(collection, scan)

    async def differences(
        self, collection: str, *, after: tuple[int, str], limit: int
    ) -> list[Difference]:
        async def differences(database: Database, course: Course) -> list[Difference]:
            start = max(after, (course.pruned + 1, ""))
            span = {"$gt": _place(*start), "$lt": _place(course.number + 1)}
            found: list[Document] = []
            rows = _versions(database, collection).find({"_id": span}).sort("_id", 1)
            async for document in rows.batch_size(limit):
                if course.counts(document["draft"]):
                    found.append(document)
                if len(found) >= limit:
                    break
            await rows.close()
            return await _with_those_before(_versions(database, collection), found, course)

        return await self._view(collection, differences)

    async def mark_published(self, collection: str, number: int) -> None:
        await self._link.ask(
            lambda database: step(database, collection, lambda course: course.told(number))
        )

    async def prune(self, collection: str) -> int:
        await self.ping()  # a server that is not there must cost one limit, not ten
        return await self._link.ask(lambda database: _prune(database, collection), SCAN)

    async def job_states(self) -> dict[str, JobState]:
        documents = await self._link.ask(
            lambda database: database[_JOBS].find({}).sort("_id", 1).to_list()
        )
        return {one["_id"]: JobState(one["_id"], **json.loads(one["state"])) for one in documents}

    async def put_job_state(self, state: JobState) -> None:
        fields = asdict(state)
        document = {"_id": fields.pop("job"), "state": json.dumps(fields)}
        await self._link.ask(lambda database: _replace(database, document))

    async def ping(self) -> None:
        """Return if the courses can be read now."""
        await self._link.ping(mongo_courses.NAME)

    def disconnect(self) -> None:
        """Take another client: the server is, or will be, another run of itself."""
        self._link.disconnect()

    async def aclose(self) -> None:
        await self._link.aclose()

    async def _view(
        self, collection: str, look: Callable[[Database, Course], Awaitable[list[T]]]
    ) -> list[T]:
        """What ``look`` finds by one course."""

        async def view(database: Database) -> list[T]:
            while True:
                course = await course_of(database, collection)
                found = await look(database, course) if course.number else []
                now = await course_of(database, collection)
                # Had anything been forgotten meanwhile, rows could be missing: their old version
                # was forgotten, and their new one did not count yet.
                if now.pruned == course.pruned:
                    return found

        return await self._link.ask(view)


def _place(draft: int, id_: str = "") -> str:
    """The ``_id`` of a version: in order of the drafts, and of the rows in each."""
    return key("", draft)[1:] + "/" + id_


def _versions(database: Database, collection: str) -> Documents:
    return database[f"records_versions_{collection}"]


def _document(draft: int, version: Version) -> Document:
    return {
        "_id": _place(draft, version.id),
        "id": version.id,
        "draft": draft,
        "raw": version.raw,
        "digest": version.digest,
        "at": version.at,
        "gone": version.gone,
    }


def _version(document: Document) -> Version:
    return Version(
        document["id"], document["raw"], document["digest"], document["at"], document["gone"]
    )


async def _insert(versions: Documents, documents: list[Document]) -> None:
    try:
        await versions.insert_many(documents, ordered=False)
    except BulkWriteError as error:
        refused = error.details["writeErrors"]
        if any(one["code"] != _DUPLICATE for one in refused):
            raise
        for one in refused:  # staged again: hardly ever, so one by one will do
            document = documents[one["index"]]
            await versions.replace_one({"_id": document["_id"]}, document)


def _newest(documents: Iterable[Document], course: Course) -> list[Document]:
    """Of each row the version that counts; ``documents`` in any order."""
    in_order = sorted(documents, key=lambda document: (document["id"], document["draft"]))
    counting = (document for document in in_order if course.counts(document["draft"]))
    return [list(row)[-1] for _, row in groupby(counting, key=lambda document: document["id"])]


async def _rows(documents: AsyncIterator[Document]) -> AsyncIterator[list[Document]]:
    """``documents``, which come in order of rows, row by row."""
    row: list[Document] = []
    async for document in documents:
        if row and row[0]["id"] != document["id"]:
            yield row
            row = []
        row.append(document)
    if row:
        yield row


async def _with_those_before(
    versions: Documents, changed: list[Document], course: Course
) -> list[Difference]:
    earlier: dict[str, list[Document]] = {}
    ids = sorted({document["id"] for document in changed})
    for start in range(0, len(ids), _TOGETHER):
        among = {"id": {"$in": ids[start : start + _TOGETHER]}}
        for document in await versions.find(among).to_list():
            earlier.setdefault(document["id"], []).append(document)
    differences = []
    for after in changed:
        draft = after["draft"]
        [*before] = _newest((one for one in earlier[after["id"]] if one["draft"] < draft), course)
        was_there = before and not before[0]["gone"]
        differences.append(
            Difference(draft, _version(before[0]) if was_there else None, _version(after))
        )
    return differences


async def _prune(database: Database, collection: str) -> int:
    course = await step(database, collection, Course.pruning)
    versions = _versions(database, collection)
    forgotten, places = 0, list[str]()
    spots = versions.find({}, {"_id": 0, "id": 1, "draft": 1}).sort(_BY_ROW)
    async for row in _rows(spots):
        doomed = course.doomed((spot["id"], spot["draft"]) for spot in row)
        places += [_place(draft, id_) for id_, draft in doomed]
        if len(places) >= _TOGETHER:
            forgotten += await _forget(versions, places)
            places = []
    forgotten += await _forget(versions, places)
    await step(database, collection, lambda now: now.swept(course))
    return forgotten


async def _forget(versions: Documents, places: list[str]) -> int:
    if not places:
        return 0
    return (await versions.delete_many({"_id": {"$in": places}})).deleted_count


async def _generation(database: Database, collection: str) -> Generation | None:
    while True:
        course = await course_of(database, collection)
        if not course.number:
            return None
        wanted = {"_id": key(collection, course.number)}
        document = await database[_GENERATIONS].find_one(wanted)
        if document is not None:
            return _generation_of(document, course)
        if course.number == (await course_of(database, collection)).number:
            raise StoreError(f"what was committed last of {collection} is not there: sync it again")


async def _generations(database: Database) -> list[Generation]:
    names = sorted(name for name, course in (await courses(database)).items() if course.number)
    found = [await _generation(database, name) for name in names]
    return [generation for generation in found if generation is not None]


def _generation_document(generation: Generation) -> Document:
    order = generation.order
    return {
        "_id": key(generation.collection, generation.number),
        "collection": generation.collection,
        "as_of": generation.as_of,
        "rows": generation.rows,
        # As text: a list of many has a document's worth of overhead.
        "order": None if order is None else json.dumps(order),
        "facts": json.dumps(dict(generation.facts)),
    }


def _generation_of(document: Document, course: Course) -> Generation:
    order = document["order"]
    return Generation(
        collection=document["collection"],
        number=course.number,
        as_of=document["as_of"],
        rows=document["rows"],
        order=None if order is None else tuple(json.loads(order)),
        facts=json.loads(document["facts"]),
        published=course.published,
    )


async def _replace(database: Database, document: Document) -> None:
    condition = {"_id": document["_id"]}
    try:
        await database[_JOBS].replace_one(condition, document, upsert=True)
    except DuplicateKeyError:  # somebody else made it between the look and the insert
        await database[_JOBS].replace_one(condition, document)

"""The embedded record store: tables in the file ``records.sqlite3``.

Every step of a collection's course is taken in the transaction in which it is looked at, and what
is read is of one moment. What is forgotten is forgotten a few thousand rows at a time, so that
nobody waits for long behind it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

from app.errors import StoreUnavailable
from app.records.course import Course, Spot
from app.records.store import Difference, Draft, Generation, JobState, Version
from app.storage.sqlite_file import SCAN, Connection, SqliteFile

_SWEEP = 4_000
"""So many versions are looked at in one transaction."""

_NEWEST = """
SELECT v.id, v.raw, v.digest, v.at, v.gone FROM (
    SELECT id, max(draft) AS draft FROM versions
    WHERE kind = :kind AND {which} AND {counts} GROUP BY id ORDER BY id LIMIT :limit
) AS newest CROSS JOIN versions AS v
    ON v.kind = :kind AND v.id = newest.id AND v.draft = newest.draft"""
_AMONG = "id IN (SELECT value FROM json_each(:ids))"
_BEHIND = "id > :after"

_DIFFERENCES = """
SELECT a.draft, a.id, a.raw, a.digest, a.at, a.gone, b.raw, b.digest, b.at, b.gone
FROM versions AS a LEFT JOIN versions AS b ON b.kind = :kind AND b.id = a.id AND b.draft = (
    SELECT max(draft) FROM versions
    WHERE kind = :kind AND id = a.id AND draft < a.draft AND {counts}
)
WHERE a.kind = :kind AND (a.draft, a.id) > (:number, :id) AND a.draft > :pruned AND {a_counts}
ORDER BY a.draft, a.id LIMIT :limit"""

_STAGE = """
INSERT INTO versions (kind, id, draft, digest, at, gone, raw) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (kind, id, draft) DO UPDATE SET
    digest = excluded.digest, at = excluded.at, gone = excluded.gone, raw = excluded.raw"""
_COURSE = "SELECT draft, number, published, pruned, voids FROM courses WHERE kind = ?"
_STEP = "INSERT OR REPLACE INTO courses VALUES (?, ?, ?, ?, ?, ?)"
_GENERATION = """
SELECT g.kind, g.number, g.as_of, g.rows, g.ids, g.facts, c.published
FROM generations AS g JOIN courses AS c ON c.kind = g.kind"""
_SPOTS = """
SELECT id, draft FROM versions WHERE kind = ? AND id >= ? ORDER BY id, draft LIMIT ?"""
_FORGET = "DELETE FROM versions WHERE kind = ? AND id = ? AND draft = ?"


class SqliteRecords:
    """A ``RecordStore`` in ``file``, whose schema is ``app/records/schema.py``.

    The file is closed with the store: stores that live in the same one are given a share each.
    ``wall``: the wall time.
    """

    name = "sqlite"

    def __init__(self, file: SqliteFile, *, wall: Callable[[], float]) -> None:
        self._file = file
        self._wall = wall
        self._scan = file.timeout * SCAN

    async def begin(self, collection: str) -> Draft:
        return await self._file.write(partial(_begin, collection, self._wall()))

    async def stage(self, draft: Draft, versions: Sequence[Version]) -> None:
        await self._file.write(partial(_stage, draft, versions))

    async def commit(self, generation: Generation) -> None:
        await self._file.write(partial(_commit, generation))

    async def generation(self, collection: str) -> Generation | None:
        return await self._file.read(partial(_generation, collection))

    async def generations(self) -> list[Generation]:
        return await self._file.read(_generations)

    async def find(self, collection: str, ids: Collection[str]) -> dict[str, Version]:
        wanted = {"ids": json.dumps(list(ids)), "limit": -1}
        found = await self._file.read(partial(_newest, collection, _AMONG, wanted))
        return {version.id: version for version in found}

    async def scan(self, collection: str, *, after: str | None, limit: int) -> list[Version]:
        which = "TRUE" if after is None else _BEHIND
        wanted = {"after": after, "limit": limit}
        return await self._file.read(partial(_newest, collection, which, wanted))

    async def differences(
        self, collection: str, *, after: tuple[int, str], limit: int
    ) -> list[Difference]:
        return await self._file.read(partial(_differences, collection, after, limit))

    async def mark_published(self, collection: str, number: int) -> None:
        await self._file.write(partial(_step, collection, lambda course: course.told(number)))

    async def prune(self, collection: str) -> int:
        try:
            async with asyncio.timeout(self._scan):
                return await self._prune(collection)
        except TimeoutError:
            raise StoreUnavailable(f"records were not pruned within {self._scan:g} s") from None

    async def _prune(self, collection: str) -> int:
        course = await self._file.write(partial(_step, collection, Course.pruning))
        forgotten, start, more = 0, "", True
        while more:
            count, start = await self._file.write(partial(_sweep, collection, course, start))
            forgotten, more = forgotten + count, bool(start)
        await self._file.write(partial(_step, collection, lambda now: now.swept(course)))
        return forgotten

    async def job_states(self) -> dict[str, JobState]:
        return await self._file.read(_job_states)

    async def put_job_state(self, state: JobState) -> None:
        await self._file.write(partial(_put_job_state, state))

    async def ping(self) -> None:
        """Return if the file can be read and written now."""
        await self._file.ping()

    async def aclose(self) -> None:
        await self._file.aclose()


def _course(collection: str, connection: Connection) -> Course:
    row = connection.execute(_COURSE, (collection,)).fetchone()
    if row is None:
        return Course()
    draft, number, published, pruned, voids = row
    runs = tuple((first, last) for first, last in json.loads(voids))
    return Course(draft, number, published, pruned, runs)


def _step(collection: str, step: Callable[[Course], Course], connection: Connection) -> Course:
    before = _course(collection, connection)
    course = step(before)
    if course != before:
        marks = (course.draft, course.number, course.published, course.pruned)
        connection.execute(_STEP, (collection, *marks, json.dumps(course.voids)))
    return course


def _begin(collection: str, now: float, connection: Connection) -> Draft:
    course = _step(collection, lambda course: course.begun(now), connection)
    return Draft(collection, course.draft, _generation(collection, connection))


def _stage(draft: Draft, versions: Sequence[Version], connection: Connection) -> None:
    _course(draft.collection, connection).staging(draft.number)
    spot = (draft.collection, draft.number)
    connection.executemany(
        _STAGE, ((spot[0], v.id, spot[1], v.digest, v.at, v.gone, v.raw) for v in versions)
    )


def _commit(generation: Generation, connection: Connection) -> None:
    collection, number = generation.collection, generation.number
    if _course(collection, connection).number == number:
        return
    _step(collection, lambda course: course.committed(number), connection)
    ids = None if generation.order is None else json.dumps(generation.order)
    values = (collection, number, generation.as_of, generation.rows, ids)
    facts = json.dumps(dict(generation.facts))
    connection.execute(
        "INSERT OR REPLACE INTO generations VALUES (?, ?, ?, ?, ?, ?)", (*values, facts)
    )


def _generation(collection: str, connection: Connection) -> Generation | None:
    row = connection.execute(f"{_GENERATION} WHERE g.kind = ?", (collection,)).fetchone()
    return None if row is None else _generation_of(row)


def _generations(connection: Connection) -> list[Generation]:
    return [_generation_of(row) for row in connection.execute(f"{_GENERATION} ORDER BY g.kind")]


def _generation_of(row: tuple[Any, ...]) -> Generation:
    collection, number, as_of, rows, ids, facts, published = row
    order = None if ids is None else tuple(json.loads(ids))
    return Generation(collection, number, as_of, rows, order, json.loads(facts), published)


def _counts(course: Course, draft: str = "draft") -> str:
    """What holds of the column ``draft`` where a version counts; all in it are numbers."""
    voids = (f" AND {draft} NOT BETWEEN {first} AND {last}" for first, last in course.voids)
    return f"{draft} <= {course.number}" + "".join(voids)


def _newest(
    collection: str, which: str, wanted: dict[str, Any], connection: Connection
) -> list[Version]:
    course = _course(collection, connection)
    query = _NEWEST.format(which=which, counts=_counts(course))
    rows = connection.execute(query, wanted | {"kind": collection})
    return sorted((_version(*row) for row in rows), key=lambda version: version.id)


def _version(id_: str, raw: bytes, digest: str, at: float, gone: int) -> Version:
    return Version(id_, raw, digest, at, bool(gone))


def _differences(
    collection: str, after: tuple[int, str], limit: int, connection: Connection
) -> list[Difference]:
    course = _course(collection, connection)
    query = _DIFFERENCES.format(counts=_counts(course), a_counts=_counts(course, "a.draft"))
    wanted = {
        "kind": collection,
        "number": after[0],
        "id": after[1],
        "pruned": course.pruned,
        "limit": limit,
    }
    return [_difference(row) for row in connection.execute(query, wanted)]


def _difference(row: tuple[Any, ...]) -> Difference:
    number, id_, after, before = row[0], row[1], row[2:6], row[6:]
    was_there = before[0] is not None and not before[3]
    return Difference(number, _version(id_, *before) if was_there else None, _version(id_, *after))


def _sweep(collection: str, course: Course, start: str, connection: Connection) -> tuple[int, str]:
    """Forget some of what stands from the row ``start`` on; the row to go on with, or ""."""
    rows: list[Spot] = connection.execute(_SPOTS, (collection, start, _SWEEP)).fetchall()
    more = ""
    if len(rows) == _SWEEP:  # more of the last row's versions may follow: it is left to the next
        more = rows[-1][0]
        rows = [spot for spot in rows if spot[0] != more] or rows
        more += "\0" if rows[-1][0] == more else ""
    doomed = [(collection, *spot) for spot in course.doomed(rows)]
    connection.executemany(_FORGET, doomed)
    return len(doomed), more


def _job_states(connection: Connection) -> dict[str, JobState]:
    rows = connection.execute("SELECT job, state FROM jobs ORDER BY job")
    return {job: JobState(job, **json.loads(state)) for job, state in rows}


def _put_job_state(state: JobState, connection: Connection) -> None:
    fields = asdict(state)
    values = (fields.pop("job"), json.dumps(fields))
    connection.execute("INSERT OR REPLACE INTO jobs VALUES (?, ?)", values)

"""The distributed history: in the collection ``records_history`` of a MongoDB.

A document holds what one row did in one week: of each field its points, by the number of their
interval within the week. A document for each point would be five times as large, and one for the
whole life of a row would be written anew, all of it, with every point. Documents are found by
their ``_id``, which says whose they are and of which week, so that a series is one range.

``due`` is the day on which points of it may have to be forgotten, and ``writes`` tells whoever
thins it that somebody has written meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote, unquote

from app.records.history import INTERVAL, Point, Series, Thinned
from app.records.thinning import DAY_SLOTS, day_of, doomed, due, due_after, slot_of
from app.storage.mongo_link import Database, Documents, MongoLink, UpdateOne

Document = dict[str, Any]

_WEEK = 7 * DAY_SLOTS
_TOGETHER = 50
"""So many documents are written in one call: where a hundred of those that are there already are
updated at once, FerretDB 1.24 runs out of its own connections and stands still."""


class MongoHistory:
    """A ``History`` over ``link``, which is closed with it.

    One write is under way at a time: servers that only speak MongoDB's protocol do not make a
    conditional update atomic (FerretDB/FerretDB#3040).
    """

    def __init__(self, link: MongoLink) -> None:
        self._link = link
        self._writing = asyncio.Lock()
        self._indexed = False

    async def add(self, points: Sequence[tuple[Series, Point]]) -> None:
        updates = _additions(points)
        for start in range(0, len(updates), _TOGETHER):
            async with self._writing:
                await self._write(updates[start : start + _TOGETHER])

    async def series(
        self, series: Series, *, since: float, until: float, limit: int
    ) -> list[Point]:
        field = f"points.{_name(series.field)}"
        wanted = {"_id": _weeks(series, since, until), field: {"$exists": True}}

        async def read(database: Database) -> list[Point]:
            found: list[Point] = []
            documents = _history(database).find(wanted, {field: 1}).sort("_id", 1)
            async for document in documents:
                of_week = _points(document, series.field)
                found += [point for point in of_week if since <= point.at < until]
                if len(found) >= limit:
                    break
            await documents.close()
            return found[:limit]

        return await self._link.ask(read)

    async def latest(self, series: Series, *, before: float) -> Point | None:
        field = f"points.{_name(series.field)}"
        wanted = {"_id": _weeks(series, 0.0, before), field: {"$exists": True}}

        async def read(database: Database) -> Point | None:
            # Of two: all points of the newest one may be later than that.
            documents = _history(database).find(wanted, {field: 1}).sort("_id", -1).limit(2)
            for document in await documents.to_list():
                earlier = [p for p in _points(document, series.field) if p.at < before]
                if earlier:
                    return earlier[-1]
            return None

        return await self._link.ask(read)

    async def fields(self, kind: str, id_: str) -> list[str]:
        everything = {"$gt": _place(kind, id_, ""), "$lt": _place(kind, id_, ":")}

        async def read(database: Database) -> list[str]:
            found: set[str] = set()
            async for document in _history(database).find({"_id": everything}, {"points": 1}):
                found |= document["points"].keys()
            return sorted(map(unquote, found))

        return await self._link.ask(read)

    async def thin(self, now: float, *, limit: int) -> Thinned:
        looked_at = forgotten = 0
        while looked_at < limit:
            step = min(_TOGETHER, limit - looked_at)
            done = await self._thin(day_of(now), step)
            looked_at, forgotten = looked_at + done.looked_at, forgotten + done.forgotten
            if done.looked_at < step:
                break
        return Thinned(looked_at, forgotten)

    async def walk(self, after: str, *, limit: int) -> tuple[list[tuple[Series, Point]], str]:
        async def read(database: Database) -> list[Document]:
            behind = _history(database).find({"_id": {"$gt": after}}).sort("_id", 1)
            return await behind.limit(limit).to_list()

        documents = await self._link.ask(read)
        points = [
            (series, point)
            for document in documents
            for series in _all_series(document)
            for point in _points(document, series.field)
        ]
        return points, documents[-1]["_id"] if len(documents) == limit else ""

    async def aclose(self) -> None:
        await self._link.aclose()

    async def _thin(self, today: int, limit: int) -> Thinned:
        async def read(database: Database) -> list[Document]:
            found = _history(database).find({"due": {"$lte": today}}).sort("due", 1).limit(limit)
            return await found.to_list()

        async with self._writing:
            await self._write([])  # for the index
            documents = await self._link.ask(read)
            changes = [_thinned(document, today) for document in documents]
            await self._write([update for update, _ in changes])
        return Thinned(len(changes), sum(gone for _, gone in changes))

    async def _write(self, updates: Sequence[UpdateOne]) -> None:
        async def write(database: Database) -> None:
            if not self._indexed:
                await _history(database).create_index("due")
                self._indexed = True
            if updates:
                await _history(database).bulk_write(updates, ordered=False)

        await self._link.ask(write)


def _history(database: Database) -> Documents:
    return database["records_history"]


def _place(kind: str, id_: str, week: str) -> str:
    """Where a row's week is kept; a row's weeks stand together, and nobody else's among them."""
    return f"{quote(kind, safe='')}/{quote(id_, safe='')}/{week}"


def _name(field: str) -> str:
    """``field`` as a key: without the dots and dollars that mean something to the server."""
    return quote(field, safe="").replace(".", "%2E")


def _week(slot: int) -> str:
    return f"{slot // _WEEK:05d}"


def _weeks(series: Series, since: float, until: float) -> Document:
    first, last = _week(slot_of(since)), _week(slot_of(until))
    return {
        "$gte": _place(series.kind, series.id, first),
        "$lte": _place(series.kind, series.id, last),
    }


def _additions(points: Sequence[tuple[Series, Point]]) -> list[UpdateOne]:
    """What writes ``points``: one update for each row and week."""
    values: dict[str, Document] = {}
    days: dict[str, int] = {}
    for series, (at, value) in points:
        slot = slot_of(at)
        place = _place(series.kind, series.id, _week(slot))
        path = f"points.{_name(series.field)}.{slot % _WEEK}"
        values.setdefault(place, {})[path] = f"{at % INTERVAL} {value}"
        days[place] = min(due_after(slot), days.get(place, due_after(slot)))
    return [
        UpdateOne(
            {"_id": place},
            {"$set": paths, "$min": {"due": days[place]}, "$inc": {"writes": 1}},
            upsert=True,
        )
        for place, paths in values.items()
    ]


def _all_series(document: Document) -> list[Series]:
    """The series of which there are points in it."""
    kind, id_, _ = map(unquote, document["_id"].split("/"))
    return [Series(kind, id_, unquote(name)) for name in document["points"]]


def _slots(document: Document, name: str) -> list[int]:
    """The slots of which there are points, in order."""
    start = int(document["_id"].rpartition("/")[2]) * _WEEK
    return sorted(start + int(key) for key in document["points"][name])


def _points(document: Document, field: str) -> list[Point]:
    values = document["points"][_name(field)]
    found = []
    for slot in _slots(document, _name(field)):
        second, _, value = values[str(slot % _WEEK)].partition(" ")
        found.append(Point(slot * INTERVAL + int(second), value))
    return found


def _thinned(document: Document, today: int) -> tuple[UpdateOne, int]:
    """What forgets the points of ``document`` that must go, and how many these are."""
    gone: dict[str, str] = {}
    days: list[int] = []
    for name in document["points"]:
        slots = _slots(document, name)
        too_many = set(doomed(slots, today))
        gone |= {f"points.{name}.{slot % _WEEK}": "" for slot in too_many}
        again = due((slot for slot in slots if slot not in too_many), today)
        days += [] if again is None else [again]
    update: Document = {"$set": {"due": min(days)}} if days else {}
    forgotten = gone if days else gone | {"due": ""}
    if forgotten:
        update["$unset"] = forgotten
    # Only as it was read: what was added meanwhile may be due earlier, and is looked at anew.
    same = {"_id": document["_id"], "writes": document["writes"]}
    return UpdateOne(same, update), len(gone)

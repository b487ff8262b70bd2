"""The embedded history: points beside the records, in the file ``records.sqlite3``.

A point is a few numbers: which row, which field, in which interval, and the value. So a series is
one range of the table, and a hundred thousand heroes fit a small disk
(``docs/reference/history.md``).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import groupby

from app.records.history import INTERVAL, Point, Series, Thinned
from app.records.thinning import beginnings, crossings, day_of, doomed, due, due_after, slot_of
from app.storage.sqlite_file import Connection, SqliteFile

_TOGETHER = 2_000
"""So many points are written in one transaction."""
_STEP = 200
"""So many rows are thinned in one."""

_ROW = """
INSERT INTO remembered (kind, id, due) VALUES (?, ?, ?)
ON CONFLICT (kind, id) DO UPDATE SET due = excluded.due WHERE due IS NULL OR due > excluded.due"""
_FIELD = "INSERT OR IGNORE INTO fields (name) VALUES (?)"
_POINT = """
INSERT OR REPLACE INTO points VALUES (
    (SELECT number FROM remembered WHERE kind = ? AND id = ?),
    (SELECT number FROM fields WHERE name = ?), ?, ?, ?
)"""
_OF_SERIES = """
FROM points WHERE row = (SELECT number FROM remembered WHERE kind = :kind AND id = :id)
AND field = (SELECT number FROM fields WHERE name = :field)"""
SERIES = f"""
SELECT slot, second, value {_OF_SERIES} AND slot >= :first AND slot <= :last
AND slot * {INTERVAL} + second >= :since AND slot * {INTERVAL} + second < :until
ORDER BY slot LIMIT :limit"""
LATEST = f"""
SELECT slot, second, value {_OF_SERIES} AND slot <= :last
AND slot * {INTERVAL} + second < :until ORDER BY slot DESC LIMIT 1"""
# The fields are few: each is one look into the points, instead of a walk over those of the row.
FIELDS = """
SELECT name FROM fields CROSS JOIN remembered WHERE kind = :kind AND id = :id AND EXISTS (
    SELECT 1 FROM points WHERE row = remembered.number AND field = fields.number
) ORDER BY name"""
DUE = "SELECT number, due FROM remembered WHERE due <= ? ORDER BY due LIMIT ?"
PART = """
SELECT field, slot FROM fields CROSS JOIN points
ON row = ? AND field = fields.number AND slot >= ? AND slot < ? ORDER BY field, slot"""
FIRST = """
SELECT (SELECT min(slot) FROM points WHERE row = ? AND field = fields.number AND slot >= ?)
FROM fields"""
_ROWS = "SELECT number, kind, id FROM remembered WHERE number > ? ORDER BY number LIMIT ?"
_OF_ROW = """
SELECT name, slot, second, value FROM points CROSS JOIN fields ON fields.number = field
WHERE row = ? ORDER BY field, slot"""
_FORGET = "DELETE FROM points WHERE row = ? AND field = ? AND slot = ?"


class SqliteHistory:
    """A ``History`` in ``file``, whose schema is ``app/records/schema.py``.

    The file is closed with it: stores that live in the same one are given a share each.
    """

    def __init__(self, file: SqliteFile) -> None:
        self._file = file

    async def add(self, points: Sequence[tuple[Series, Point]]) -> None:
        for start in range(0, len(points), _TOGETHER):
            await self._file.write(partial(_add, points[start : start + _TOGETHER]))

    async def series(
        self, series: Series, *, since: float, until: float, limit: int
    ) -> list[Point]:
        return await self._file.read(partial(_series, series, since, until, limit))

    async def latest(self, series: Series, *, before: float) -> Point | None:
        return await self._file.read(partial(_latest, series, before))

    async def fields(self, kind: str, id_: str) -> list[str]:
        return await self._file.read(partial(_fields, kind, id_))

    async def thin(self, now: float, *, limit: int) -> Thinned:
        looked_at = forgotten = 0
        while looked_at < limit:
            step = min(_STEP, limit - looked_at)
            done = await self._file.write(partial(_thin, day_of(now), step))
            looked_at, forgotten = looked_at + done.looked_at, forgotten + done.forgotten
            if done.looked_at < step:
                break
        return Thinned(looked_at, forgotten)

    async def walk(self, after: str, *, limit: int) -> tuple[list[tuple[Series, Point]], str]:
        return await self._file.read(partial(_walk, int(after or "0"), limit))

    async def aclose(self) -> None:
        await self._file.aclose()


def _add(points: Sequence[tuple[Series, Point]], connection: Connection) -> None:
    rows: dict[tuple[str, str], int] = {}
    for series, point in points:
        row, day = (series.kind, series.id), due_after(slot_of(point.at))
        rows[row] = min(day, rows.get(row, day))
    connection.executemany(_ROW, ((*row, day) for row, day in rows.items()))
    connection.executemany(_FIELD, {(series.field,) for series, _ in points})
    connection.executemany(
        _POINT,
        (
            (s.kind, s.id, s.field, *divmod(point.at, INTERVAL), _stored(point.value))
            for s, point in points
        ),
    )


def _series(
    series: Series, since: float, until: float, limit: int, connection: Connection
) -> list[Point]:
    wanted = _named(series) | {
        "since": since,
        "until": until,
        "first": slot_of(since),
        "last": slot_of(until),
        "limit": limit,
    }
    return [_point(*row) for row in connection.execute(SERIES, wanted)]


def _latest(series: Series, before: float, connection: Connection) -> Point | None:
    wanted = _named(series) | {"until": before, "last": slot_of(before)}
    row = connection.execute(LATEST, wanted).fetchone()
    return None if row is None else _point(*row)


def _fields(kind: str, id_: str, connection: Connection) -> list[str]:
    return [name for (name,) in connection.execute(FIELDS, {"kind": kind, "id": id_})]


def _walk(after: int, limit: int, connection: Connection) -> tuple[list[tuple[Series, Point]], str]:
    rows = connection.execute(_ROWS, (after, limit)).fetchall()
    points = [
        (Series(kind, id_, name), _point(*moment))
        for number, kind, id_ in rows
        for name, *moment in connection.execute(_OF_ROW, (number,))
    ]
    return points, str(rows[-1][0]) if len(rows) == limit else ""


def _thin(today: int, limit: int, connection: Connection) -> Thinned:
    rows = connection.execute(DUE, (today, limit)).fetchall()
    forgotten = sum(_thin_row(number, since, today, connection) for number, since in rows)
    return Thinned(len(rows), forgotten)


def _thin_row(number: int, since: int, today: int, connection: Connection) -> int:
    """Forget what of one row must go, and note when it is due again; how many points went."""
    gone: set[tuple[int, int, int]] = set()
    for part in crossings(since, today):
        found = connection.execute(PART, (number, part.start, part.stop))
        for field, slots in groupby(found, key=lambda point: point[0]):
            gone |= {(number, field, slot) for slot in doomed((p[1] for p in slots), today)}
    connection.executemany(_FORGET, gone)
    left = [
        slot
        for beginning in beginnings(today)
        for (slot,) in connection.execute(FIRST, (number, beginning))
        if slot is not None
    ]
    connection.execute("UPDATE remembered SET due = ? WHERE number = ?", (due(left, today), number))
    return len(gone)


def _named(series: Series) -> dict[str, str | float]:
    return {"kind": series.kind, "id": series.id, "field": series.field}


def _point(slot: int, second: int, value: int | str) -> Point:
    return Point(slot * INTERVAL + second, str(value))


def _stored(value: str) -> int | str:
    """A number where the engine has one that large, 19 digits and a sign at most."""
    if len(value) <= 20 and -(2**63) <= (number := int(value)) < 2**63:
        return number
    return value

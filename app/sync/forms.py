"""What the upstream is asked to find out that it answers as our records do. PURE.

Each form of question (``app/records/question.py``) is tried with one question, chosen so that it
tells: a flag that some rows have and some do not, ids that leave others out, a page that does not
begin at the beginning. A form for which the rows give no such question stays unproved.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import orjson

from app.kingdom.catalogue import OPERATIONS
from app.kingdom.collections import Collection
from app.kingdom.operation import Operation, Shape
from app.records.question import WIDEST_SPAN, order_form
from app.records.snapshot import Column

MOST_COLUMNS = 6
"""Columns by which sorting is tried; the upstream's own comes first."""
TELLING = 3
"""Rows of which two can be asked for and one left out."""
FEW = 100
"""Rows that are enough to show an order."""

_SORTED = orjson.OPT_SORT_KEYS

Pairs = tuple[tuple[str, str], ...]
Fields = Mapping[str, Any]


@dataclass(frozen=True)
class Trial:
    """One question, and the form that its answer proves."""

    form: str
    operation: Operation
    values: Mapping[str, str]
    query: Pairs = ()

    @property
    def target(self) -> str:
        """The question in canonical form."""
        path = self.operation.path
        for name, value in self.values.items():
            path = path.replace(f"{{{name}}}", quote(value, safe=""))
        text = "&".join(f"{name}={quote(value, safe='')}" for name, value in sorted(self.query))
        return f"{path}?{text}" if text else path


def trials(collection: Collection, rows: Sequence[Fields]) -> Iterator[Trial]:
    """The questions to ask about ``collection``, whose rows these are, in the upstream's order."""
    listing = _operation(collection.operation)
    if collection.by_id is not None and rows:
        yield _one(_operation(collection.by_id), collection, rows)
    if listing.shape is Shape.OBJECT:
        if rows:
            yield _one(listing, collection, rows)
        return
    if collection.fan is None:
        yield from _of_list(collection, listing, {}, rows)
        return
    name, fans = collection.fan
    parts = {fan: [row for row in rows if str(row.get(name)) == fan] for fan in fans}
    for fan in fans:
        yield Trial(f"list {fan}", listing, {name: fan}, collection.query)
    fullest = max(fans, key=lambda fan: len(parts[fan]))
    yield from _of_list(collection, listing, {name: fullest}, parts[fullest])


def _one(operation: Operation, collection: Collection, rows: Sequence[Fields]) -> Trial:
    # The row with the most in it is the one that shows a difference in fields.
    row = max(rows, key=len)
    return Trial("one", operation, {operation.path_parameters[0]: str(row.get(collection.key))})


def _of_list(
    collection: Collection, listing: Operation, values: Mapping[str, str], rows: Sequence[Fields]
) -> Iterator[Trial]:
    def trial(form: str, *query: tuple[str, str]) -> Trial:
        return Trial(form, listing, values, (*collection.query, *query))

    if not values:
        yield trial("list")
    if listing.page_size is not None and len(rows) > 1:
        yield trial("page", ("numToSkip", "1"), ("numToFetch", str(min(2, len(rows) - 1))))
    for flag in collection.flags:
        if len(set(_column(rows, flag).flags or ())) > 1:
            yield trial(f"flag {flag}", (flag, "true"))
    if listing.look_up is not None:
        name, numbers = listing.look_up.parameter, _column(rows, listing.look_up.field).numbers
        yield from _among(trial, name, numbers or [])
    few = (("numToFetch", str(FEW)),) if listing.page_size and len(rows) > FEW else ()
    for column in _columns(listing, rows) if len(rows) > 1 else ():
        for word in ("asc", "desc"):
            order = (("orderBy", column), ("orderDirection", word))
            yield trial(order_form(column, word == "desc"), *order, *few)


def _among(trial: Callable[..., Trial], name: str, numbers: Sequence[int]) -> Iterator[Trial]:
    """Ids, and a range of them, that are found and leave others out."""
    if len(numbers) < TELLING:
        return
    yield trial("ids", (f"{name}[]", str(numbers[0])), (f"{name}[]", str(numbers[-1])))
    rising = sorted(numbers)
    low = rising[len(rising) // 3]
    high = min(rising[len(rising) // 2], low + WIDEST_SPAN - 1)
    yield trial("span", (f"{name}_ge", str(low)), (f"{name}_le", str(high)))


def _columns(listing: Operation, rows: Sequence[Fields]) -> list[str]:
    """The columns by which rows can be sorted in one way only."""
    parameter = listing.query_by_name.get("orderBy")
    if parameter is None:
        return []
    own = [parameter.default] if parameter.default else []
    others = [
        name
        for name in sorted(rows[0])
        if name not in own and _column(rows, name).rising is not None
    ]
    return [*own, *others][:MOST_COLUMNS]


def _column(rows: Sequence[Fields], name: str) -> Column:
    return Column(row.get(name) for row in rows)


def _operation(name: str) -> Operation:
    return _BY_NAME[name]


_BY_NAME = {operation.name: operation for operation in OPERATIONS}


def is_same(ours: bytes, theirs: bytes, key: str, *, exactly: bool) -> bool:
    """Whether two bodies answer the same.

    Not ``exactly``: rows may have changed between the one and the other, but there are the same
    ones (by their field ``key``) in the same order, each with the same fields of the same kinds.
    """
    try:
        mine, other = orjson.loads(ours), orjson.loads(theirs)
    except orjson.JSONDecodeError:
        return False
    # As text: to Python 1 is 1.0, and also true.
    if orjson.dumps(mine, option=_SORTED) == orjson.dumps(other, option=_SORTED):
        return True
    if exactly or not isinstance(mine, dict) or not isinstance(other, dict):
        return False
    return mine.keys() == other.keys() and all(
        _same_rows(mine[name], other[name], key) for name in mine
    )


def _same_rows(mine: Any, other: Any, key: str) -> bool:
    first, second = (rows if isinstance(rows, list) else [rows] for rows in (mine, other))
    if not all(isinstance(row, dict) for row in (*first, *second)):
        return False
    same = [row.get(key) for row in first] == [row.get(key) for row in second]
    return same and all(map(_same_kind, first, second))


def _same_kind(mine: Any, other: Any) -> bool:
    if mine is None or other is None:
        return True
    if isinstance(mine, dict) and isinstance(other, dict):
        return mine.keys() == other.keys() and all(_same_kind(mine[n], other[n]) for n in mine)
    return _kind(mine) is _kind(other)


def _kind(value: Any) -> type:
    """A sum that happens to be whole is a number like any other."""
    return float if type(value) is int else type(value)

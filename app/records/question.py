"""What a question to the mirror asks of the records, if it may be answered from them at all. PURE.

A question is put together of *forms*: a page, a flag, an order. For each of them it is checked
every day that the upstream means by it what we do (``app/sync/proof.py``), and only then it is
answered from records. What is not one of these forms is no question here: it goes upstream.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import unquote

from app.kingdom.collections import COLLECTIONS, Collection, Extent
from app.kingdom.operation import Operation, Shape

MOST_ROWS, MOST_IDS, WIDEST_SPAN = 1000, 500, 1000
"""What is known to be taken: rows on a page, ids in a list, and what a range must stay below."""
_NUMBER = re.compile(r"0|[1-9][0-9]{0,15}")
_FIELD = re.compile(r"[A-Za-z]\w{0,63}", re.ASCII)

Given = dict[str, list[str]]
"""The values of each parameter that is not accounted for yet."""


class Order(NamedTuple):
    """``own``: it is the column that the upstream sorts by when it is not told; ``field`` is its
    name, empty where nobody knows it."""

    field: str
    descending: bool
    own: bool


@dataclass(frozen=True, slots=True)
class One:
    """The row with this id, under the key ``envelope``."""

    collection: Collection
    envelope: str
    id: str

    @property
    def forms(self) -> frozenset[str]:
        """The forms that it is put together of."""
        return frozenset(["one"])


@dataclass(frozen=True, slots=True)
class Many:
    """A list of rows, under the key ``envelope``.

    ``fan`` is the value that the collection's fan must have, ``flags`` the fields that must be
    true; ``by`` is the field that must be one of ``ids`` or within ``span`` (both ends too).
    ``order`` is ``None`` for the upstream's own. ``take`` is ``None`` where there are no pages,
    and ``paged`` says whether a page was asked for in so many words.
    """

    collection: Collection
    envelope: str
    fan: str | None
    flags: tuple[str, ...]
    by: str
    ids: frozenset[str] | None
    span: tuple[int, int] | None
    order: Order | None
    skip: int
    take: int | None
    paged: bool

    @property
    def forms(self) -> frozenset[str]:
        """The forms that it is put together of."""
        forms = ["list" if self.fan is None else f"list {self.fan}"]
        forms += [f"flag {name}" for name in self.flags]
        forms += ["page"] if self.paged else []
        forms += ["ids"] if self.ids is not None else []
        forms += ["span"] if self.span is not None else []
        if self.order is not None:
            forms.append(order_form(self.order.field, self.order.descending))
        return frozenset(forms)


Question = One | Many


def order_form(field: str, descending: bool) -> str:
    """The name of the form in which rows are sorted by ``field``."""
    return f"order {field} {'desc' if descending else 'asc'}"


def collection_of(operation: Operation) -> Collection | None:
    """The collection that may hold what ``operation`` gives; ``None``: there is none."""
    return _HOMES.get(operation.name)


def read_question(operation: Operation, target: str) -> Question | None:
    """What ``target``, a path and query in canonical form, asks of the records.

    ``None``: that is not to be answered from them.
    """
    collection = collection_of(operation)
    if collection is None:
        return None
    path, _, query = target.partition("?")
    value = _value_in(operation, path)
    if operation.shape is Shape.OBJECT:
        if query or value is None:
            return None
        return One(collection, operation.envelope, value)
    if collection.fan is not None and value not in collection.fan[1]:
        return None
    return _read_list(operation, collection, value, _given(query))


def _read_list(
    operation: Operation, collection: Collection, fan: str | None, given: Given
) -> Many | None:
    fixed = [given.pop(name, None) == [value] for name, value in collection.query]
    flags = {name: given.pop(name) for name in collection.flags if name in given}
    # Nobody knows whether ``false`` means the others, or all of them.
    if not all(fixed) or any(values != ["true"] for values in flags.values()):
        return None
    try:
        by, ids, span = _among(operation, given)
        order = _order(operation, given)
        skip, take, paged = _page(operation, given)
    except ValueError:
        return None
    if given:
        return None
    return Many(
        collection, operation.envelope, fan, tuple(flags), by, ids, span, order, skip, take, paged
    )


def _among(
    operation: Operation, given: Given
) -> tuple[str, frozenset[str] | None, tuple[int, int] | None]:
    """The field of the ids that are asked for, and these. ``ValueError``: not in a known form."""
    if operation.look_up is None:
        return "", None, None
    name, field = operation.look_up.parameter, operation.look_up.field
    low, high = given.pop(f"{name}_ge", None), given.pop(f"{name}_le", None)
    listed = given.pop(f"{name}[]", None)
    if listed is not None:
        if low or high or len(listed) > MOST_IDS:
            raise ValueError("too many ids, or a range beside them")
        return field, frozenset(str(_whole([one])) for one in listed), None
    if low is None and high is None:
        return field, None, None
    span = _whole(low or []), _whole(high or [])
    if not 0 <= span[1] - span[0] < WIDEST_SPAN:
        raise ValueError("too wide, or the wrong way round")
    return field, None, span


def _order(operation: Operation, given: Given) -> Order | None:
    column, direction = given.pop("orderBy", None), given.pop("orderDirection", None)
    if column is None and direction is None:
        return None
    known = operation.query_by_name["orderBy"].default or ""
    [field] = [known] if column is None else column
    [word] = ["asc"] if direction is None else direction
    if word not in ("asc", "desc") or (column is not None and not _FIELD.fullmatch(field)):
        raise ValueError("no order")
    return Order(field, word == "desc", own=field == known)


def _page(operation: Operation, given: Given) -> tuple[int, int | None, bool]:
    if operation.page_size is None:
        return 0, None, False
    skip, take = given.pop("numToSkip", None), given.pop("numToFetch", None)
    rows = _whole([str(operation.page_size)] if take is None else take)
    if not 1 <= rows <= MOST_ROWS:
        raise ValueError("no page")
    return _whole(["0"] if skip is None else skip), rows, bool(skip or take)


def _whole(values: list[str]) -> int:
    """The one value, a whole number. ``ValueError``: it is none, or there are more."""
    [text] = values
    if not _NUMBER.fullmatch(text):
        raise ValueError("no plain number")
    return int(text)


def _value_in(operation: Operation, path: str) -> str | None:
    """The value in the path; ``None`` where there is none, or more than one."""
    wild = [place for place, part in enumerate(operation.segments) if part.startswith("{")]
    return unquote(path.strip("/").split("/")[wild[0]]) if len(wild) == 1 else None


def _given(query: str) -> Given:
    given: Given = {}
    for piece in query.split("&") if query else ():
        name, _, value = piece.partition("=")
        given.setdefault(name, []).append(unquote(value))
    return given


def _homes() -> Mapping[str, Collection]:
    homes: dict[str, Collection] = {}
    for one in COLLECTIONS.values():
        # What is missing from a part of the rows may be among the others.
        if one.served and one.extent is Extent.WHOLE:
            homes[one.operation] = one
            homes |= {one.by_id: one} if one.by_id else {}
    return homes


_HOMES = _homes()

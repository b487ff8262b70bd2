"""Tables whose rows are worked out when they are asked for.

A row has *parts*: fields that are worked out together, from the row's index and the moment.
Each part says how often it changes, so that a column that was sorted once stays sorted until
then. Nothing is kept but such columns, in a cache of bounded size.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cachetools import LRUCache

from app.sandbox.clockwork import floor
from app.sandbox.ordering import sort_keys

Row = dict[str, Any]
Make = Callable[[int, int], Row]
"""From a row's index and the moment to some of its fields."""
Lookup = Callable[[str, int], Iterable[int]]
"""From a value (in lower case) and the moment to the rows that have it."""

CELLS = 3_000_000


class Shelf:
    """Columns and orders that were worked out, the least used thrown away first."""

    def __init__(self, cells: int = CELLS) -> None:
        self._kept: LRUCache[Any, Sequence[Any]] = LRUCache(cells, getsizeof=lambda it: len(it) + 1)

    def keep(self, key: Any, make: Callable[[], Sequence[Any]]) -> Sequence[Any]:
        """What is kept under ``key``, made if it is not there (and not kept if it is too big)."""
        kept = self._kept.get(key)
        if kept is None:
            kept = make()
            if len(kept) < self._kept.maxsize:
                self._kept[key] = kept
        return kept


@dataclass(frozen=True, slots=True)
class Part:
    """Fields that ``make`` works out together and that change every ``period`` seconds.

    ``period`` 0 means never. A ``hidden`` part is for filters and sorting, not for answers: its
    fields may be dotted (``player.name``), to spare working the whole nested row out.
    """

    fields: Collection[str]
    make: Make
    period: int = 0
    hidden: bool = False


@dataclass(frozen=True)
class Table:
    """Rows with an index each.

    ``indices`` gives those that exist at a moment, in ascending order; they change every
    ``period`` seconds. ``find`` gives the index for an id (None: there is no such row).
    ``lookups`` find rows by a field's value without looking at all of them; ``columns`` work a
    whole column out faster than row by row; ``variants`` are the same rows in another shape,
    by the flag that asks for it.
    """

    name: str
    parts: tuple[Part, ...]
    indices: Callable[[int], Sequence[int]]
    find: Callable[[str, int], int | None]
    shelf: Shelf
    period: int = 0
    lookups: Mapping[str, Lookup] = field(default_factory=dict)
    columns: Mapping[str, Callable[[int], Sequence[Any]]] = field(default_factory=dict)
    variants: Mapping[str, Table] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)

    def row(self, index: int, moment: int) -> Row:
        """All visible fields of one row."""
        row: Row = {}
        for part in self.parts:
            if not part.hidden:
                row.update(part.make(index, floor(moment, part.period)))
        return row

    def has(self, name: str) -> bool:
        """Whether rows have the field ``name``, under this name or an alias."""
        return self._part(name) is not None

    def value(self, index: int, name: str, moment: int) -> Any:
        """One field of one row; None where there is no such field."""
        part = self._part(name)
        if part is None:
            return None
        return reach(part.make(index, floor(moment, part.period)), self.aliases.get(name, name))

    def column(self, name: str, moment: int) -> Sequence[Any]:
        """One field of all rows, in the order of ``indices``."""
        part = self._part(name)
        seen = floor(moment, part.period if part else 0)
        key = (self.name, "column", name, seen, floor(moment, self.period))
        return self.shelf.keep(key, lambda: self._column(name, moment))

    def order(self, name: str, moment: int) -> Sequence[int]:
        """The indices of all rows, sorted ascending by one field."""
        part = self._part(name)
        seen = floor(moment, part.period if part else 0)
        key = (self.name, "order", name, seen, floor(moment, self.period))
        return self.shelf.keep(key, lambda: self._order(name, moment))

    def _part(self, name: str) -> Part | None:
        wanted = self.aliases.get(name, name)
        for part in self.parts:
            if wanted in part.fields or wanted.partition(".")[0] in part.fields:
                return part
        return None

    def _column(self, name: str, moment: int) -> Sequence[Any]:
        wanted = self.aliases.get(name, name)
        part = self._part(name)
        if part is None:
            return [None] * len(self.indices(moment))
        seen = floor(moment, part.period)
        if wanted in self.columns:
            return self.columns[wanted](seen)
        make = part.make
        return [reach(make(index, seen), wanted) for index in self.indices(moment)]

    def _order(self, name: str, moment: int) -> Sequence[int]:
        indices = self.indices(moment)
        keys = sort_keys(self.aliases.get(name, name), self.column(name, moment))
        places = sorted(range(len(keys)), key=keys.__getitem__)
        return array("q", [indices[place] for place in places])


def reach(row: Mapping[str, Any], name: str) -> Any:
    """The field ``name`` of a row; ``player.name`` reaches into a nested row."""
    if name in row:
        return row[name]
    value: Any = row
    for step in name.split("."):
        value = value.get(step) if isinstance(value, Mapping) else None
    return value


def fixed_table(
    name: str,
    rows: Sequence[Row],
    shelf: Shelf,
    *,
    key: str = "id",
    parts: tuple[Part, ...] = (),
    lookups: Mapping[str, Lookup] | None = None,
    aliases: Mapping[str, str] | None = None,
) -> Table:
    """A table of rows that are there already, with the fields of ``parts`` added to them."""
    by_key = {str(row.get(key)).lower(): index for index, row in enumerate(rows)}
    whole = Part({name: None for row in rows for name in row}, lambda index, _: rows[index])
    return Table(
        name,
        (*parts, whole),
        lambda _: range(len(rows)),
        lambda wanted, _: by_key.get(wanted.lower()),
        shelf,
        lookups=lookups or {},
        aliases=aliases or {},
    )

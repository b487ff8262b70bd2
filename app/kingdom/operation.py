"""What one operation of the upstream is: the vocabulary in which the catalogue is written."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property


class Freshness(StrEnum):
    """How quickly what an operation answers goes out of date."""

    STATIC = "static"
    """Game definitions: they change with releases of the game."""
    SLOW = "slow"
    """Clans, pets, day data: they change by the hour."""
    LIVE = "live"
    """Players and what they are doing: by the minute."""
    INSTANT = "instant"
    """Prices, open orders, results being waited for: by the second."""


class Shape(StrEnum):
    """What stands under the envelope's key."""

    LIST = "list"
    OBJECT = "object"


class Kind(StrEnum):
    """What a parameter's value is, as far as it matters for telling two requests apart."""

    TEXT = "text"
    BOOLEAN = "boolean"
    ADDRESS = "address"
    """A hexadecimal address: upper and lower case mean the same."""
    IDS = "ids"
    """A set of values that hold no comma."""
    NAMES = "names"
    """A set of values that may hold a comma."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter in the path or the query.

    ``default`` is what the upstream assumes when it is absent, if that is known for sure:
    spelling it out asks the same question.
    """

    name: str
    kind: Kind
    help: str
    default: str | None = None
    required: bool = False

    @property
    def is_array(self) -> bool:
        return self.kind in (Kind.IDS, Kind.NAMES)


@dataclass(frozen=True, slots=True)
class LookUp:
    """That a list of ids can be given, and which rows are found by it.

    ``parameter`` (of the query, or the field of the body) holds the ids; the rows that it finds
    are those whose ``field`` is one of them: one row each or many. ``columns`` are the names that
    ``orderBy`` has for fields of another name.
    """

    parameter: str
    field: str
    columns: tuple[tuple[str, str], ...] = ()

    def field_of(self, column: str) -> str:
        """The field of a row that ``orderBy=column`` sorts by."""
        return dict(self.columns).get(column, column)


@dataclass(frozen=True)
class Operation:
    """One of the upstream's operations.

    ``path`` is a template without trailing slash, ``envelope`` the top-level key of its 200
    answer, ``entity`` the class of its rows in the game's published types, ``record_key`` the
    field that tells rows apart, ``body`` the field of a POST body that holds the list of ids,
    ``look_up`` how rows follow from a list of ids.
    """

    method: str
    path: str
    envelope: str
    shape: Shape
    entity: str | None
    record_key: str | None
    freshness: Freshness
    tag: str
    summary: str
    query: tuple[Parameter, ...] = ()
    body: Parameter | None = None
    look_up: LookUp | None = None

    @cached_property
    def name(self) -> str:
        """A short unique name for logs, metrics and ``operationId``: ``players-by-id``."""
        fixed = [part for part in self.segments if not part.startswith("{")]
        wild = [part.strip("{}") for part in self.segments if part.startswith("{")]
        return "-".join(fixed) + ("-by-" + "-".join(wild) if wild else "")

    @cached_property
    def segments(self) -> tuple[str, ...]:
        return tuple(self.path.strip("/").split("/"))

    @cached_property
    def path_parameters(self) -> tuple[str, ...]:
        return tuple(re.findall(r"\{(\w+)\}", self.path))

    @cached_property
    def query_by_name(self) -> dict[str, Parameter]:
        return {parameter.name: parameter for parameter in self.query}

    @property
    def page_size(self) -> int | None:
        """How many rows the upstream gives when it is not told, None where there are no pages."""
        parameter = self.query_by_name.get("numToFetch")
        return int(parameter.default or "1000") if parameter else None

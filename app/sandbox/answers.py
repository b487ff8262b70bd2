"""From a question as it was sent to the kingdom's answer."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

import orjson

from app.errors import RequestRefused
from app.kingdom.catalogue import Match
from app.kingdom.operation import Operation, Shape
from app.sandbox.clockwork import block_at, moment_of, moment_of_block
from app.sandbox.filters import conditions_of, refuse, switch, whole_number
from app.sandbox.kingdom import Kingdom
from app.sandbox.query import Question, select
from app.sandbox.table import Row, Table

MOST_ROWS = 1000
"""No page is longer."""
MOST_IDS = 500
"""Ids that one look-up may ask for: the game's client asks for no more since more of them broke."""
_ARRAY = re.compile(r"(.+?)\[\d*\]")
_VARIANTS = ("useUsers", "simplified", "includePlayerRanks")

Given = Mapping[str, Sequence[str]]
"""Values by parameter, from path, query and body."""


@dataclass(frozen=True, slots=True)
class Answers:
    """Answers questions about a kingdom, of up to ``most_ids`` ids each."""

    kingdom: Kingdom
    most_ids: int = MOST_IDS

    def answer(self, match: Match, query: str, body: bytes, now: float) -> bytes:
        """The body of the 200 answer.

        Raises ``RequestRefused``: 404 for an id that nobody has, 422 for values that make no
        sense.
        """
        operation = match.operation
        given = {**_gather(query), **{name: [value] for name, value in match.values.items()}}
        if operation.body:
            given[operation.body.name] = _listed(operation.body.name, body)
        look_up = operation.look_up
        if look_up and len(given.get(look_up.parameter, ())) > self.most_ids:
            raise refuse(f"{look_up.parameter} may have {self.most_ids} ids at most")
        for parameter in operation.query:
            if parameter.required and parameter.name not in given:
                raise refuse(f"{parameter.name} is required")
        moment = _moment(operation, given, now)
        value = self._value(operation, match.values, given, moment)
        envelope: Row = {operation.envelope: value}
        if operation.name == "orders":
            envelope["_meta"] = self.kingdom.world.meta(moment)
        return orjson.dumps(envelope)

    def _value(
        self, operation: Operation, values: Mapping[str, str], given: Given, moment: int
    ) -> Any:
        name = operation.segments[0]
        if name == "clans-within-vault-mmr-attacking-range":
            clan = self.kingdom.clans.find(values["id"])
            if clan is None:
                raise _unknown("clan", values["id"])
            return self.kingdom.battles.within_range(clan, moment)
        if operation.shape is Shape.LIST:
            return self._rows(operation, self.kingdom.table(name), given, moment)
        if not values:
            return self.kingdom.single(name, moment)
        return self._row(operation, self.kingdom.table(name), next(iter(values.values())), moment)

    def _row(self, operation: Operation, table: Table, wanted: str, moment: int) -> Row | None:
        index = table.find(wanted, moment)
        if index is not None:
            return table.row(index, moment)
        if operation.segments[0] == "clan-members":
            return None
        raise _unknown(operation.segments[0], wanted)

    def _rows(self, operation: Operation, table: Table, given: Given, moment: int) -> list[Row]:
        conditions = conditions_of(operation.segments[0], given)
        shape = table
        for variant in _VARIANTS:
            asked = variant in operation.query_by_name and variant in given
            if asked and switch(variant, given[variant][-1]):
                table = shape.variants.get(variant, table) if variant == "useUsers" else table
                shape = shape.variants.get(variant, shape)
        question = Question(conditions, *_order(operation, table, given), *_page(operation, given))
        return [shape.row(index, moment) for index in select(table, question, moment)]


def _gather(query: str) -> dict[str, list[str]]:
    """Values by name; ``a[]``, ``a[0]`` and ``a`` are one. What is empty was not said."""
    given: dict[str, list[str]] = {}
    for name, value in parse_qsl(query):
        array = _ARRAY.fullmatch(name)
        given.setdefault(array.group(1) if array else name, []).append(value)
    return given


def _listed(name: str, body: bytes) -> list[str]:
    try:
        read = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise refuse("the body is not JSON") from None
    listed = read.get(name) if isinstance(read, dict) else None
    if not isinstance(listed, list) or not all(isinstance(one, str | int) for one in listed):
        raise refuse(f'the body must look like {{"{name}": ["…"]}}')
    return [str(one) for one in listed]


def _moment(operation: Operation, given: Given, now: float) -> int:
    """The moment that is asked about: now, or that of a block."""
    moment = moment_of(now)
    if "block" not in operation.query_by_name or "block" not in given:
        return moment
    block = whole_number("block", given["block"][-1])
    if block > block_at(moment):
        raise refuse(f"block {block} is not there yet; the latest is {block_at(moment)}")
    return moment_of_block(block)


def _order(operation: Operation, table: Table, given: Given) -> tuple[str | None, bool]:
    """The field to sort by (None: as the rows stand) and whether it goes down."""
    if "orderBy" not in operation.query_by_name:
        return None, False
    direction = given.get("orderDirection", ["asc"])[-1].lower()
    if direction not in ("asc", "desc"):
        raise refuse(f"orderDirection must be asc or desc, not {direction!r}")
    field = operation.query_by_name["orderBy"].default
    if "orderBy" in given:
        field = given["orderBy"][-1]
        if not table.has(field):
            raise refuse(f"orderBy {field!r} is not a field of {operation.entity}")
    return field, direction == "desc"


def _page(operation: Operation, given: Given) -> tuple[int, int | None]:
    """How many rows to leave out, and how many to give."""
    if operation.page_size is None:
        return 0, None
    skip = whole_number("numToSkip", given.get("numToSkip", ["0"])[-1])
    take = whole_number("numToFetch", given.get("numToFetch", [str(operation.page_size)])[-1])
    if not 1 <= take <= MOST_ROWS:
        raise refuse(f"numToFetch must be 1 to {MOST_ROWS}, not {take}")
    return skip, take


def _unknown(what: str, wanted: str) -> RequestRefused:
    return RequestRefused(404, "Not Found", f"there is no {wanted} among {what}")

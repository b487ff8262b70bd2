"""Which rows a question is about, and in which order: pure functions over a table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from app.sandbox.ordering import places, sort_keys
from app.sandbox.table import Table


@dataclass(frozen=True, slots=True)
class Want:
    """What is wanted of one field.

    ``values``, if given, are all the texts (in lower case) that pass ``test``: a table that can
    look rows up by the field then need not look at all of them.
    """

    field: str
    test: Callable[[Any], bool]
    values: frozenset[str] | None = None


Condition = tuple[Want, ...]
"""Wants of which one must be met."""


@dataclass(frozen=True, slots=True)
class Question:
    """A page of a table: rows that meet all conditions, sorted, from ``skip`` on, ``take`` at most.

    ``order_by`` None is the table's own order.
    """

    conditions: tuple[Condition, ...]
    order_by: str | None
    descending: bool
    skip: int
    take: int | None


def select(table: Table, question: Question, moment: int) -> Sequence[int]:
    """The indices of the rows that answer ``question``, in order."""
    found, rest = _look_up(table, question.conditions, moment)
    if found is not None:
        met = [
            index
            for index in sorted(found)
            if all(_meets(table, index, condition, moment) for condition in rest)
        ]
        ordered: Sequence[int] = _sort(table, met, question.order_by, moment)
    else:
        ordered = _everything(table, question.order_by, moment)
        if rest:
            passing = _passing(table, rest, moment)
            ordered = [index for index in ordered if index in passing]
    if question.descending:
        ordered = ordered[::-1]
    end = None if question.take is None else question.skip + question.take
    return ordered[question.skip : end]


def _look_up(
    table: Table, conditions: Iterable[Condition], moment: int
) -> tuple[set[int] | None, list[Condition]]:
    """The rows that conditions on looked-up fields leave (None: there were none), and the rest."""
    found: set[int] | None = None
    rest = []
    for condition in conditions:
        if all(want.values is not None and want.field in table.lookups for want in condition):
            rows = {
                index
                for want in condition
                for value in want.values or ()
                for index in table.lookups[want.field](value, moment)
            }
            found = rows if found is None else found & rows
        else:
            rest.append(condition)
    return found, rest


def _meets(table: Table, index: int, condition: Condition, moment: int) -> bool:
    return any(want.test(table.value(index, want.field, moment)) for want in condition)


def _passing(table: Table, conditions: Iterable[Condition], moment: int) -> set[int]:
    indices = table.indices(moment)
    passing: set[int] | None = None
    for condition in conditions:
        met = {
            index
            for want in condition
            for index, value in zip(indices, table.column(want.field, moment), strict=True)
            if want.test(value)
        }
        passing = met if passing is None else passing & met
    return passing or set()


def _sort(table: Table, indices: list[int], field: str | None, moment: int) -> list[int]:
    """Rows that are equal in ``field`` go by their ids. Not so where a whole table is sorted:
    there it would cost another column, and nobody puts parts of such answers together."""
    if field is None:
        return indices
    values = [table.value(index, field, moment) for index in indices]
    keys = sort_keys(table.aliases.get(field, field), values)
    ordered = places(keys, lambda: [table.value(index, "id", moment) for index in indices])
    return [indices[place] for place in ordered]


def _everything(table: Table, field: str | None, moment: int) -> Sequence[int]:
    return table.indices(moment) if field is None else table.order(field, moment)

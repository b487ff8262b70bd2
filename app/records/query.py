"""Answers made of records: the bytes that the upstream would send, or nothing. PURE.

Rows are never written anew. Where it cannot be told what the upstream would say, because values
that are sorted by are equal or can be read in two ways, or a row lacks a field that is asked
about, there is no answer, and the question goes upstream.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import orjson

from app.records.question import Many, One, Question
from app.records.snapshot import Snapshot

T = TypeVar("T")


def answer(snapshot: Snapshot, question: Question) -> bytes | None:
    """The body of the answer, if each form of ``question`` was proved for these rows."""
    proved = snapshot.generation.facts.get("proved", {})
    return compose(snapshot, question) if question.forms <= proved.keys() else None


def compose(snapshot: Snapshot, question: Question) -> bytes | None:
    """The same, proved or not."""
    key = b"{" + orjson.dumps(question.envelope) + b":"
    if isinstance(question, One):
        row = snapshot.row(question.id)
        # That there is none is the upstream's to say: 404s are not ours to make.
        return None if row is None else key + row + b"}"
    places = _chosen(snapshot, question)
    if places is None:
        return None
    end = None if question.take is None else question.skip + question.take
    page = [snapshot.raw[place] for place in places[question.skip : end]]
    return key + b"[" + b",".join(page) + b"]}"


def _chosen(snapshot: Snapshot, question: Many) -> Sequence[int] | None:
    """The places of all rows that are asked for, in order."""
    places = _ordered(snapshot, question)
    wanted = _wanted(snapshot, question)
    if places is None or wanted is None:
        return None
    for passing in wanted:
        places = [place for place in places if passing[place]]
    return places


def _ordered(snapshot: Snapshot, question: Many) -> Sequence[int] | None:
    order, everything = question.order, range(len(snapshot.raw))
    if order is None or (order.own and not order.descending):
        return everything if snapshot.has_order else None
    if order.own and snapshot.has_order and order.field:
        # However the upstream reads the column: down is the reverse of up if no two are equal.
        return everything[::-1] if snapshot.column(order.field).is_distinct else None
    rising = snapshot.column(order.field).rising if order.field else None
    if rising is None:
        return None
    return rising[::-1] if order.descending else rising


def _wanted(snapshot: Snapshot, question: Many) -> list[list[bool]] | None:
    """For each filter which rows pass it; ``None`` if one cannot be told."""
    fan, ids, span = question.collection.fan, question.ids, question.span
    wanted = [snapshot.column(name).flags for name in question.flags]
    if fan is not None:
        wanted.append(_passing(snapshot.column(fan[0]).texts, lambda text: text == question.fan))
    if ids is not None:
        wanted.append(_passing(snapshot.column(question.by).texts, ids.__contains__))
    if span is not None:
        numbers = snapshot.column(question.by).numbers
        wanted.append(_passing(numbers, lambda number: span[0] <= number <= span[1]))
    told = [passing for passing in wanted if passing is not None]
    return told if len(told) == len(wanted) else None


def _passing(values: Sequence[T] | None, test: Callable[[T], bool]) -> list[bool] | None:
    return None if values is None else [test(value) for value in values]

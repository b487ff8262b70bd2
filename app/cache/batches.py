"""Questions with a list of ids: what they ask, and in which parts they can be asked. PURE.

Such a question can be answered from the answers to its parts, one for some of the ids each, if
what the upstream would have made of the whole follows from them. Everything else is no batch: it
is asked as it is. See ``docs/decisions/0011-multi-look-ups.md``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any
from urllib.parse import unquote

import orjson

from app.cache.key import RequestKey
from app.kingdom.operation import Kind, LookUp, Operation

MOST_IDS = 500
"""Ids in one call: what the game's own client sends at most since larger bodies broke."""
LONGEST_TARGET = 8_000
"""Characters of a call's path and query: with the rest of its line it stays below the 8 KB that
proxies commonly take."""

_NUMBER = re.compile(r"0|[1-9][0-9]{0,18}")
_ADDRESS = re.compile(r"0x[0-9a-f]+")
_ORDER_BY, _DIRECTION, _SKIP, _FETCH = "orderBy", "orderDirection", "numToSkip", "numToFetch"


@dataclass(frozen=True)
class Batch:
    """A question about rows with certain ids. ``read_batch`` makes it of a key."""

    operation: Operation
    look_up: LookUp
    path: str
    ids: Mapping[str, Any]
    """What each id, as the text that rows have, is in the body or the query."""
    filters: tuple[str, ...]
    """The pieces of the query that are neither ids nor about order and pages."""
    order_by: str
    direction: str | None
    """As it was asked for; ``None``: the upstream's own, which is taken to be up."""
    skip: int
    take: int
    page_size: int
    """Rows that a call gives at most when it does not say how many it wants."""

    @property
    def descending(self) -> bool:
        """Whether the rows go down."""
        return self.direction == "desc"

    @property
    def reach(self) -> int:
        """How many rows from the first on decide about the page that is asked for."""
        return self.skip + self.take

    @cached_property
    def field(self) -> str:
        """The field by which the rows are sorted."""
        return self.look_up.field_of(self.order_by)

    @cached_property
    def shape(self) -> str:
        """All that makes the row of an id what it is: equal for batches that may share rows.

        The order is a part of it, since rows are remembered with what they are sorted by; its
        direction and the page are not.
        """
        pieces = "&".join((*self.filters, f"{_ORDER_BY}={self.order_by}"))
        return f"{self.operation.method} {self.path}?{pieces}"

    def parts(self, ids: Sequence[str]) -> list[Sequence[str]]:
        """``ids`` in as few parts of about the same size as calls are needed."""
        if not ids:
            return []
        most = MOST_IDS
        if self.operation.body is None:
            room = LONGEST_TARGET - len(self.key_of(()).target)
            most = max(1, min(most, room // (1 + max(len(self.ids[one]) for one in ids))))
        count = -(-len(ids) // most)
        bounds = [len(ids) * number // count for number in range(count + 1)]
        return [ids[begin:end] for begin, end in pairwise(bounds)]

    def key_of(self, ids: Sequence[str]) -> RequestKey:
        """The question for the first page of the rows of ``ids`` alone, in canonical form."""
        pieces = list(self.filters)
        default = self.operation.query_by_name[_ORDER_BY].default
        if self.order_by != default:
            pieces.append(f"{_ORDER_BY}={self.order_by}")
        if self.direction is not None:
            pieces.append(f"{_DIRECTION}={self.direction}")
        body = None
        if self.operation.body is None:
            pieces += [self.ids[one] for one in ids]
        else:
            body = orjson.dumps({self.operation.body.name: [self.ids[one] for one in ids]})
        # Stable: what is repeated keeps its order.
        pieces.sort(key=_name_of)
        target = f"{self.path}?{'&'.join(pieces)}" if pieces else self.path
        return RequestKey(self.operation, target, body)

    def id_in(self, value: object) -> str | None:
        """The id that ``value``, from the field of a row, is; ``None``: none that was asked for."""
        text = str(value)
        if text not in self.ids:
            text = text.lower()
        return text if text in self.ids else None


def read_batch(key: RequestKey) -> Batch | None:
    """What ``key`` asks as a batch; ``None`` if it is none, or not one that may be taken apart."""
    operation = key.operation
    look_up, page_size = operation.look_up, operation.page_size
    if look_up is None or page_size is None:
        return None
    path, _, query = key.target.partition("?")
    pieces = query.split("&") if query else []
    ids = _ids_of(operation, look_up, pieces, key.body)
    if not ids:
        return None
    paging: dict[str, str] = {}
    filters = []
    for piece in pieces:
        name, _, value = piece.partition("=")
        if name in (_ORDER_BY, _DIRECTION, _SKIP, _FETCH):
            if name in paging:
                return None
            paging[name] = unquote(value)
        elif operation.body is not None or name != f"{look_up.parameter}[]":
            filters.append(piece)
    order_by = paging.get(_ORDER_BY, operation.query_by_name[_ORDER_BY].default)
    direction = paging.get(_DIRECTION)
    skip, take = _whole(paging.get(_SKIP, "0")), _whole(paging.get(_FETCH, str(page_size)))
    if not order_by or not order_by.isidentifier() or direction not in (None, "asc", "desc"):
        return None
    if skip is None or take is None or not 1 <= take <= page_size:
        return None
    return Batch(
        operation,
        look_up,
        path,
        ids,
        tuple(filters),
        order_by,
        direction,
        skip,
        take,
        page_size,
    )


def calls_for(key: RequestKey) -> int:
    """How many calls the answer to ``key`` takes when none of it is known."""
    batch = read_batch(key)
    return 1 if batch is None else len(batch.parts(list(batch.ids)))


def _ids_of(
    operation: Operation, look_up: LookUp, pieces: Sequence[str], body: bytes | None
) -> dict[str, Any] | None:
    """The ids by the text that rows have for them; ``None`` if one of them could be anything."""
    parameter = operation.body
    if parameter is not None:
        sent = orjson.loads(body or b"{}").get(parameter.name)
        given = [(str(one), one) for one in sent] if isinstance(sent, list) else []
    else:
        parameter = operation.query_by_name[look_up.parameter]
        begin = f"{look_up.parameter}[]="
        found = [piece for piece in pieces if piece.startswith(begin)]
        given = [(unquote(piece.removeprefix(begin)), piece) for piece in found]
    form = _ADDRESS if parameter.kind is Kind.ADDRESS else _NUMBER
    ids = dict(given)
    # 7 and "7" are two ids in a body, and nobody knows what the upstream makes of both.
    plain = len(ids) == len(given) and all(form.fullmatch(text) for text in ids)
    return ids if plain else None


def _whole(text: str) -> int | None:
    return int(text) if _NUMBER.fullmatch(text) else None


def _name_of(piece: str) -> str:
    return piece.partition("=")[0].removesuffix("[]")

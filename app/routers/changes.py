"""What changed in the kingdom: in pages by cursor, and as it happens."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Annotated

import orjson
from fastapi import APIRouter, Header, Query
from pydantic import BaseModel, ConfigDict, Field, field_validator
from starlette.responses import Response

from app.errors import StoreError
from app.kingdom.collections import COLLECTIONS
from app.records.change import Change, ChangeLog, CursorGone, Told
from app.records.change_text import told_json
from app.records.tail import Line, Tail
from app.routers.event_stream import EventStreams, Pieces, SseResponse, StreamRules, dropped, event
from app.routers.problems import refusals
from app.runtime import Runtime

CHANGE_PATHS = ("/v1/changes",)
"""Paths that need the log of changes: what it lives in is woken for them."""
_OLDEST, _NOW = "oldest", "now"
_LONGEST = 100
_SCAN = 2_000
"""Changes that are looked through for one page, whatever is asked for."""
_AT_ONCE = 500
_PIECE = 32 * 1024
"""Bytes of events that are sent together."""

Wanted = Callable[[Change], bool]


class Asked(BaseModel):
    """What a client wants to be told."""

    model_config = ConfigDict(extra="forbid")

    after: str | None = Field(
        None,
        min_length=1,
        max_length=_LONGEST,
        description="A cursor, `oldest` or `now`: what came behind it is told.",
    )
    kind: str | None = Field(None, description="Changes of this collection only.")
    id: str | None = Field(
        None, min_length=1, max_length=200, description="Changes of rows with this id only."
    )

    @field_validator("kind")
    @classmethod
    def _is_kept(cls, kind: str | None) -> str | None:
        if kind is not None and kind not in COLLECTIONS:
            raise ValueError(f"there is no such kind; there are {', '.join(sorted(COLLECTIONS))}")
        return kind

    def wants(self, change: Change) -> bool:
        """Whether ``change`` is among what was asked for."""
        return self.kind in (None, change.kind) and self.id in (None, change.id)

    @property
    def is_choosy(self) -> bool:
        """Whether not everything is wanted."""
        return self.kind is not None or self.id is not None


class AskedPage(Asked):
    """The same, as a page."""

    limit: int = Field(100, ge=1, le=1000, description="How many changes at most.")


def changes_routes(runtime: Runtime, rules: StreamRules | None = None) -> APIRouter:
    """``/v1/changes`` and the stream of them."""
    router = APIRouter(prefix="/v1", tags=["Drawbridge"])
    log, tail = runtime.archive.changes, Tail(runtime.archive.changes, _event)
    streams = EventStreams(runtime.stopping, rules or StreamRules())

    @router.get(
        "/changes",
        summary="What was added, changed and removed, page by page",
        responses=refusals(410, 504),
    )
    async def changes(asked: Annotated[AskedPage, Query()]) -> Response:
        after = await _cursor(log, asked.after or _OLDEST)
        found, cursor, more = await _page(log, after, asked)
        told = b",".join(map(told_json, found))
        end = orjson.dumps({"next": cursor or _OLDEST, "more": more})
        body = b'{"changes":[' + told + b"]," + end[1:]
        return Response(body, headers={"cache-control": "no-store"}, media_type="application/json")

    @router.get(
        "/changes/stream",
        summary="The same as it happens (SSE)",
        response_class=SseResponse,
        responses=refusals(410, 504),
    )
    async def stream(
        asked: Annotated[Asked, Query()],
        last_event_id: Annotated[str | None, Header(max_length=_LONGEST)] = None,
    ) -> Response:
        # A client that connects again asks what it asked first; the header says how far it came.
        after = await _cursor(log, last_event_id or asked.after or _NOW)
        # A cursor that is gone is told as a problem, while that can be had.
        await log.read(after, limit=1)
        return streams.of(_pieces(tail, after, asked.wants))

    return router


async def _cursor(log: ChangeLog, after: str) -> str:
    if after == _NOW:
        return await log.last()
    return "" if after == _OLDEST else after


async def _page(log: ChangeLog, after: str, asked: AskedPage) -> tuple[list[Told], str, bool]:
    """Changes behind ``after``, how far was looked, and whether there may be more behind that."""
    found: list[Told] = []
    at_once = _AT_ONCE if asked.is_choosy else min(asked.limit, _AT_ONCE)
    for _ in range(_SCAN // _AT_ONCE):
        page = await log.read(after, limit=at_once)
        for one in page:
            after = one.cursor
            if asked.wants(one.change):
                found.append(one)
            if len(found) == asked.limit:
                return found, after, one is not page[-1] or len(page) == at_once
        if len(page) < at_once:
            return found, after, False
    return found, after, True


async def _pieces(tail: Tail, after: str, wanted: Wanted) -> Pieces:
    # An id alone is no event, but is where a client that connects again goes on.
    yield b"retry: 3000\nid: " + (after or _OLDEST).encode() + b"\n\n"
    try:
        async with tail.follow(after) as pages:
            async for page in pages:
                for piece in _joined(page, wanted):
                    yield piece
    except CursorGone:
        yield dropped("you are too far behind: what comes next is no longer kept")
    except StoreError:
        yield dropped("the log of changes does not answer just now; connect again")


def _event(told: Told) -> bytes:
    return event(told.change.kind, told_json(told), told.cursor)


def _joined(page: Sequence[Line], wanted: Wanted) -> Iterator[bytes]:
    """The events of ``page``, several in a piece, and how far it goes."""
    piece = bytearray()
    for line in page:
        if wanted(line.told.change):
            piece += line.text
        if len(piece) >= _PIECE:
            yield bytes(piece)
            piece.clear()
    last = page[-1].told
    if not wanted(last.change):
        piece += b"id: " + last.cursor.encode() + b"\n\n"
    if piece:
        yield bytes(piece)

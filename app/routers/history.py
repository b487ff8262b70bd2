"""How values moved: ``/v1/history/{kind}/{id}`` as JSON or CSV."""

from __future__ import annotations

import math
import time
from collections.abc import AsyncGenerator, Callable
from hashlib import blake2b
from typing import Annotated, Literal

import orjson
from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response, StreamingResponse

from app.cache.conditional import Condition, evaluate
from app.errors import RequestRefused
from app.quantities import parse_duration
from app.records import excerpts
from app.records.excerpts import Excerpt, Wanted
from app.records.history import INTERVAL, History
from app.records.readings import READINGS, Reading
from app.records.stepping import count
from app.records.thinning import DAY
from app.routers.history_table import table
from app.routers.moments import FORMS, moment
from app.routers.problems import refusals
from app.runtime import Runtime

HISTORY_PATHS = ("/v1/history",)
"""Paths that need the history: what it lives in is woken for them."""
MOST_VALUES = 20_000
"""In one answer in JSON, and so many steps of all fields together in any."""
_PAGE = 5_000
_WRONG = "Parameters are wrong"
_LIVELY, _SETTLED = 60, 3600
"""Seconds that an answer may be kept: one that reaches into the last day, and one that does not."""


class Asked(BaseModel):
    """What a client wants to know of a row."""

    model_config = ConfigDict(extra="forbid")

    field: list[str] = Field([], description="Fields, repeated or with commas; none: all.")
    since: str = Field("-7d", alias="from", max_length=64, description=f"A time: {FORMS}.")
    until: str = Field("now", alias="to", max_length=64, description="The same; not included.")
    step: str | None = Field(
        None, max_length=32, description="`1h`, `1d`: what was known at the end of each step."
    )
    limit: int = Field(
        _PAGE, ge=1, le=MOST_VALUES, description="How many points at most, of all fields together."
    )
    format: Literal["json", "csv"] | None = Field(
        None, description="Instead of `Accept`: `text/csv` gives all there is, whatever the limit."
    )


def history_routes(runtime: Runtime, wall: Callable[[], float] = time.time) -> APIRouter:
    """``/v1/history/…``; ``wall`` counts from 1970."""
    router = APIRouter(prefix="/v1", tags=["Drawbridge"])
    history = runtime.archive.history

    @router.get(
        "/history/{kind}/{id}",
        summary="How values of a row moved: XP and levels, prices, vaults",
        responses={
            200: {"content": {"text/csv": {}}},
            304: {"description": "You have it already."},
            **refusals(404, 412, 504),
        },
    )
    async def moved(
        request: Request,
        kind: str,
        id_: Annotated[str, Path(alias="id", max_length=200)],
        asked: Annotated[Asked, Query()],
    ) -> Response:
        now = wall()
        wanted = _wanted(kind, id_, asked, now)
        step = None if asked.step is None else _step(asked.step, wanted)
        if step is None:
            excerpt = await excerpts.points(history, wanted, limit=asked.limit)
        else:
            excerpt = await excerpts.steps(history, wanted, step)
        if excerpt.is_empty() and not await history.fields(kind, id_):
            raise RequestRefused(
                404,
                "Nothing is remembered",
                f"There is no {id_!r} among {kind} of which anything was ever seen.",
            )
        headers = {"cache-control": f"public, max-age={_fresh_for(wanted, now)}", "vary": "Accept"}
        if _is_csv(asked, request):
            rows = table(_all(history, wanted, excerpt))
            return StreamingResponse(rows, headers=headers, media_type="text/csv")
        return _answer(request, _json(wanted, step, excerpt), headers)

    return router


def _all(history: History, wanted: Wanted, excerpt: Excerpt) -> AsyncGenerator[Excerpt, None]:
    return excerpts.pages(history, wanted, excerpt, limit=_PAGE)


def _wanted(kind: str, id_: str, asked: Asked, now: float) -> Wanted:
    """What ``asked`` means now. Raises ``RequestRefused``."""
    if kind not in READINGS:
        known = ", ".join(sorted(READINGS))
        raise RequestRefused(404, "No such kind", f"Of {kind!r} nothing is kept: of {known} it is.")
    readings = _readings(kind, asked.field)
    since, until = _time("from", asked.since, now), _time("to", asked.until, now)
    # What is not yet cannot be known: the last step ends now.
    begin, end = math.floor(since), min(math.ceil(until), math.floor(now) + 1)
    if begin >= end:
        raise RequestRefused(422, _WRONG, "from: it must be before `to`, and before now")
    return Wanted(kind, id_, readings, begin, end)


def _readings(kind: str, asked: list[str]) -> tuple[Reading, ...]:
    known = READINGS[kind]
    names = dict.fromkeys(name for part in asked for name in part.split(",") if name)
    for name in names:
        if name not in known:
            fields = ", ".join(known)
            raise RequestRefused(422, _WRONG, f"field: {kind} have no {name!r}, but {fields}")
    return tuple(known[name] for name in names or known)


def _time(name: str, text: str, now: float) -> float:
    try:
        return moment(text, now)
    except ValueError as error:
        raise RequestRefused(422, _WRONG, f"{name}: {error}") from None


def _step(text: str, wanted: Wanted) -> int:
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise RequestRefused(422, _WRONG, f"step: {error}") from None
    if not INTERVAL <= seconds <= 1e11 or seconds % 1:
        raise RequestRefused(422, _WRONG, "step: write whole seconds, 5m or more")
    step, most = int(seconds), MOST_VALUES // len(wanted.readings)
    if count(wanted.since, wanted.until, step) > most:
        enough = math.ceil((wanted.until - wanted.since) / (most - 1))
        raise RequestRefused(
            422,
            _WRONG,
            f"step: that would be more than {MOST_VALUES} values; {enough}s would do, or ask for"
            " fewer fields or a shorter time",
        )
    return step


def _fresh_for(wanted: Wanted, now: float) -> int:
    return _LIVELY if wanted.until > now - DAY else _SETTLED


def _is_csv(asked: Asked, request: Request) -> bool:
    if asked.format is not None:
        return asked.format == "csv"
    accepted = request.headers.get("accept", "").lower()
    return "text/csv" in accepted and "application/json" not in accepted


def _json(wanted: Wanted, step: int | None, excerpt: Excerpt) -> bytes:
    return orjson.dumps(
        {
            "kind": wanted.kind,
            "id": wanted.id,
            "from": wanted.since,
            "to": wanted.until,
            "step": step,
            "series": excerpt.series,
            "next": excerpt.next,
        }
    )


def _answer(request: Request, body: bytes, headers: dict[str, str]) -> Response:
    etag = f'"{blake2b(body, digest_size=8).hexdigest()}"'
    headers = {**headers, "etag": etag}
    conditions = [request.headers.getlist(name) for name in ("if-match", "if-none-match")]
    match evaluate(request.method, etag, *conditions):
        case Condition.NOT_MODIFIED:
            return Response(status_code=304, headers=headers)
        case Condition.FAILED:
            raise RequestRefused(412, "Precondition failed", "What is known has another tag.")
        case Condition.HOLDS:
            return Response(body, headers=headers, media_type="application/json")

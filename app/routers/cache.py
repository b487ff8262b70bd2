"""The cache for operators: what is remembered, what to forget, what to ask for in advance."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field, model_validator

from app.cache.key import RequestKey, canonicalise
from app.cache.purges import Purge, Scope, tags_of
from app.cache.response_cache import ResponseCache
from app.errors import ContainerError, RequestRefused, StoreError, UpstreamError
from app.kingdom.catalogue import Catalogue
from app.kingdom.operation import Freshness
from app.routers.operators import REFUSALS, operators_only
from app.runtime import Runtime

MOST_WARMED = 500
"""Paths in one request."""
_AT_ONCE = 8
"""Answers that are waited for together; the upstream has its own bounds."""


class PurgeRequest(BaseModel):
    """Exactly one of ``url``, ``tag``, ``prefix`` and ``all``."""

    model_config = ConfigDict(extra="forbid")

    url: str | None = Field(None, max_length=4096, description="One question: /players?name=ada")
    tag: str | None = Field(None, description="An operation, an entity or a freshness class.")
    prefix: str | None = Field(None, pattern="^/", max_length=512, description="/players/")
    all: Literal[True] | None = Field(None, description="Everything.")
    mode: Literal["soft", "hard"] = Field(
        "soft", description="soft: stale, refreshed when asked for; hard: never given again."
    )

    @model_validator(mode="after")
    def _names_one_thing(self) -> PurgeRequest:
        if sum(one is not None for one in (self.url, self.tag, self.prefix, self.all)) != 1:
            raise ValueError("name exactly one of url, tag, prefix and all")
        return self


class WarmRequest(BaseModel):
    """What to ask for; nothing: all game definitions."""

    model_config = ConfigDict(extra="forbid")

    paths: list[Annotated[str, Field(pattern="^/", max_length=4096)]] = Field(
        [], max_length=MOST_WARMED, description="Paths, as a client would ask: /players?name=ada"
    )


def cache_routes(runtime: Runtime) -> APIRouter:
    """``/cache/…``, for operators only."""
    allowed = Depends(operators_only(runtime.operators))
    router = APIRouter(
        prefix="/cache", tags=["Operators"], dependencies=[allowed], responses=REFUSALS
    )

    @router.post("/purge", summary="Forget answers: one, some or all")
    async def purge(wanted: PurgeRequest) -> dict[str, Any]:
        scope, what = _aim(wanted, runtime.catalogue)
        purge = Purge(scope, what, time.time(), hard=wanted.mode == "hard")
        runtime.purge(purge)
        return {"purged": scope, "what": what, "mode": wanted.mode, "epoch": purge.at}

    @router.post("/warm", summary="Ask for answers, so that they are there when they are needed")
    async def warm(wanted: WarmRequest) -> dict[str, Any]:
        paths = wanted.paths or _definitions(runtime.catalogue)
        keys = {path: _key(path, runtime.catalogue) for path in paths}
        turns = asyncio.Semaphore(_AT_ONCE)
        asked = (_warmed(runtime.cache, path, key, turns) for path, key in keys.items())
        return {"warmed": await asyncio.gather(*asked)}

    @router.get("/stats", summary="How much is remembered, and where; wakes nothing")
    async def stats() -> dict[str, Any]:
        cache, memory = runtime.cache, runtime.cache.memory.stats()
        return {
            "memory": {"entries": memory.entries, "bytes": memory.size},
            "encoded": {"bytes": runtime.variants.size},
            "store": await _store_stats(runtime),
            "writes": {"waiting": len(cache.writer), "dropped": cache.writer.dropped},
            "purges": len(cache.purges),
        }

    return router


async def _warmed(
    cache: ResponseCache, path: str, key: RequestKey, turns: asyncio.Semaphore
) -> dict[str, Any]:
    async with turns:
        try:
            outcome = await cache.answer(key)
        except (UpstreamError, ContainerError, StoreError) as error:
            return {"path": path, "error": str(error)}
    entry = outcome.entry
    return {"path": path, "status": entry.status, "bytes": len(entry.body), "how": outcome.word}


async def _store_stats(runtime: Runtime) -> dict[str, Any]:
    store, gate = runtime.cache.store, runtime.store_gate
    lease = gate.enter() if gate.is_open else None
    if lease is None:
        return {"kind": store.name, "asleep": True}
    with lease:
        try:
            found = await store.stats()
        except StoreError as error:
            return {"kind": store.name, "error": str(error)}
    return {"kind": store.name, "entries": found.entries, "bytes": found.size}


def _definitions(catalogue: Catalogue) -> list[str]:
    return [
        one.path
        for one in catalogue.operations
        if one.freshness is Freshness.STATIC and "{" not in one.path and one.method == "GET"
    ]


def _aim(wanted: PurgeRequest, catalogue: Catalogue) -> tuple[Scope, str]:
    """What is to be purged; raises ``RequestRefused`` (422) for what cannot have been cached."""
    if wanted.url is not None:
        return Scope.KEY, _key(wanted.url, catalogue).digest
    if wanted.tag is not None:
        return Scope.TAG, _tag(wanted.tag.lower(), catalogue)
    return (Scope.PREFIX, wanted.prefix) if wanted.prefix is not None else (Scope.ALL, "")


def _key(url: str, catalogue: Catalogue) -> RequestKey:
    """The question that ``url`` asks; raises ``RequestRefused`` (422) if it asks none."""
    path, _, query = url.partition("?")
    for match in catalogue.at(path):
        if match.operation.body is None:
            return canonicalise(match, query.encode("utf-8", "replace")).key
    near = catalogue.nearest(path)
    hint = f"; did you mean {near}?" if near else ""
    raise RequestRefused(422, "No such question", f"No GET operation answers at {path}{hint}")


def _tag(tag: str, catalogue: Catalogue) -> str:
    known = {one for operation in catalogue.operations for one in tags_of(operation)}
    if tag not in known:
        detail = f"No answer carries the tag {tag}; there are {', '.join(sorted(known))}."
        raise RequestRefused(422, "Unknown tag", detail)
    return tag

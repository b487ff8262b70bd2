"""The cache for operators: what to forget."""

from __future__ import annotations

import time
from typing import Any, Literal

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field, model_validator

from app.cache.key import canonicalise
from app.cache.purges import Purge, Scope, tags_of
from app.errors import RequestRefused
from app.kingdom.catalogue import Catalogue
from app.routers.operators import operators_only
from app.runtime import Runtime


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


def cache_routes(runtime: Runtime) -> APIRouter:
    """``/cache/…``, for operators only."""
    allowed = Depends(operators_only(runtime.settings.admin_api_keys))
    router = APIRouter(prefix="/cache", tags=["Operators"], dependencies=[allowed])

    @router.post("/purge", summary="Forget answers: one, some or all")
    async def purge(wanted: PurgeRequest) -> dict[str, Any]:
        scope, what = _aim(wanted, runtime.catalogue)
        purge = Purge(scope, what, time.time(), hard=wanted.mode == "hard")
        runtime.purge(purge)
        return {"purged": scope, "what": what, "mode": wanted.mode, "epoch": purge.at}

    return router


def _aim(wanted: PurgeRequest, catalogue: Catalogue) -> tuple[Scope, str]:
    """What is to be purged; raises ``RequestRefused`` (422) for what cannot have been cached."""
    if wanted.url is not None:
        return Scope.KEY, _digest(wanted.url, catalogue)
    if wanted.tag is not None:
        return Scope.TAG, _tag(wanted.tag.lower(), catalogue)
    return (Scope.PREFIX, wanted.prefix) if wanted.prefix is not None else (Scope.ALL, "")


def _digest(url: str, catalogue: Catalogue) -> str:
    path, _, query = url.partition("?")
    for match in catalogue.at(path):
        if match.operation.body is None:
            return canonicalise(match, query.encode("utf-8", "replace")).key.digest
    near = catalogue.nearest(path)
    hint = f"; did you mean {near}?" if near else ""
    raise RequestRefused(422, "Nothing to purge", f"No GET operation answers at {path}{hint}")


def _tag(tag: str, catalogue: Catalogue) -> str:
    known = {one for operation in catalogue.operations for one in tags_of(operation)}
    if tag not in known:
        detail = f"No answer carries the tag {tag}; there are {', '.join(sorted(known))}."
        raise RequestRefused(422, "Unknown tag", detail)
    return tag

"""What we add to the upstream: under ``/v1``, never inside its own answers."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter

from app.routers.problems import refusals
from app.runtime import Runtime

STORE_PATHS = ("/v1/store",)
"""Paths that cannot be answered without the store: its container is woken for them."""


def v1_routes(runtime: Runtime) -> APIRouter:
    """``/v1/…``."""
    router = APIRouter(prefix="/v1", tags=["Drawbridge"])

    @router.get("/operations", summary="The upstream's operations, as this gateway knows them")
    async def operations() -> dict[str, Any]:
        return {
            "operations": [
                {
                    "name": operation.name,
                    "method": operation.method,
                    "path": operation.path,
                    "envelope": operation.envelope,
                    "shape": operation.shape,
                    "freshness": operation.freshness,
                    "summary": operation.summary,
                    "parameters": [asdict(parameter) for parameter in operation.query],
                }
                for operation in runtime.catalogue.operations
            ]
        }

    @router.get(
        "/store",
        summary="How much is remembered; wakes the store if it is asleep",
        responses=refusals(504),
    )
    async def store() -> dict[str, Any]:
        stats = await runtime.cache.store.stats()
        return {"kind": runtime.cache.store.name, "entries": stats.entries, "bytes": stats.size}

    return router

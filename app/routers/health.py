"""Is it well? For people, load balancers and monitors; asking never wakes anything."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter
from starlette.responses import JSONResponse, PlainTextResponse, Response

from app import __version__
from app.containers.lifecycle import State
from app.errors import ContainerUnknown
from app.routers.problems import refusals
from app.runtime import Runtime

_STATUS = {
    State.ASLEEP: "asleep",
    State.WAKING: "waking",
    State.AWAKE: "ok",
    State.DRAINING: "ok",
    State.STOPPING: "asleep",
    State.FAILED: "failed",
    State.MISSING: "missing",
}
"""What monitors are told; a container on its way down is as well as one that is."""
LONG_FAILING = 3
"""Failures of a sync job in a row after which all is not well."""
_UNWELL = ("failed", "missing", "unknown")


def health_routes(runtime: Runtime) -> APIRouter:
    """``/health`` and below, and ``/metrics``."""
    router = APIRouter(tags=["Health"])

    @router.get("/health", summary="Everything at a glance")
    async def summary() -> dict[str, Any]:
        return glance(runtime)

    @router.get("/health/live", summary="The process answers")
    async def live() -> dict[str, str]:
        return {"status": "ok"}

    @router.get("/health/ready", summary="Requests are welcome")
    async def ready() -> dict[str, str]:
        # Whatever is asleep or dead behind it, the gateway answers what it knows.
        return {"status": "ok"}

    @router.get("/health/containers", summary="Containers, their states, what keeps them up")
    async def containers() -> dict[str, Any]:
        views = [asdict(view) for view in runtime.fleet.views()]
        return {"automation": _automation(runtime), "containers": views}

    @router.head("/health/containers/{name}", include_in_schema=False)
    @router.get(
        "/health/containers/{name}",
        summary="One container, for monitors: asleep is healthy, and stays so",
        responses={
            503: {
                "description": "It does not come up, or is not there",
                "content": {"application/json": {}},
            },
            **refusals(404),
        },
    )
    async def container(name: str) -> Response:
        told = _standing(runtime, name)
        status = 503 if told["status"] in _UNWELL else 200
        return JSONResponse(told, status, {"cache-control": "no-store"})

    @router.get("/health/automation", summary="Whether containers are started and stopped")
    async def automation() -> dict[str, Any]:
        return _automation(runtime)

    @router.get(
        "/metrics",
        summary="Figures for Prometheus",
        tags=["Health"],
        response_class=PlainTextResponse,
    )
    async def metrics() -> Response:
        return Response(runtime.metrics.render(), media_type="text/plain; version=0.0.4")

    return router


def glance(runtime: Runtime) -> dict[str, Any]:
    """Everything in short, as ``/health`` tells it; wakes nothing."""
    upstream, containers, sync = _upstream(runtime), _automation(runtime), _sync(runtime)
    well = upstream["ok"] and not runtime.cache.writer.losing and not sync["failing"]
    return {
        "status": "ok" if well else "degraded",
        "version": __version__,
        "uptime_seconds": round(runtime.uptime(), 1),
        "upstream": upstream,
        "cache": _cache(runtime),
        "containers": containers,
        "sync": sync,
    }


def _standing(runtime: Runtime, name: str) -> dict[str, Any]:
    """What a monitor wants to know of one container. Raises ``ContainerUnknown``."""
    automation = runtime.fleet.automation
    try:
        view = runtime.fleet.view(name)
    except ContainerUnknown:
        if automation.available:
            raise
        # The engine was never heard: nobody can say which containers there are.
        return {"status": "unknown", "name": name, "error": automation.reason}
    return {
        "status": _STATUS[view.state],
        "name": view.name,
        "state": view.state.value,
        "since_seconds": round(view.since, 1),
        "error": view.error,
    }


def _upstream(runtime: Runtime) -> dict[str, Any]:
    status = runtime.upstream.status
    since = status.failing_since
    return {
        "url": runtime.settings.estfor_api_url,
        "ok": status.ok,
        "failing_since": datetime.fromtimestamp(since, UTC).isoformat() if since else None,
        "last_error": status.last_error,
        "paused_for": round(status.paused_for, 1),
        "breaker": status.breaker,
        "next_try_in": round(status.next_try_in, 1),
        "failing_operations": list(status.failing_operations),
        "calls_at_once": status.most_at_once,
    }


def _cache(runtime: Runtime) -> dict[str, Any]:
    memory = runtime.cache.memory.stats()
    writer = runtime.cache.writer
    return {
        "memory": {"entries": memory.entries, "bytes": memory.size},
        "store": {
            "kind": runtime.cache.store.name,
            "waiting_writes": len(writer),
            "dropped_writes": writer.dropped,
        },
    }


def _sync(runtime: Runtime) -> dict[str, Any]:
    """How old what the jobs bring is, in seconds, and which have failed for long, and why."""
    upkeep = runtime.upkeep
    states = {} if upkeep.scheduler is None else upkeep.scheduler.states
    return {
        "enabled": runtime.settings.sync_enabled,
        "ages": {name: round(age) for name, age in upkeep.ages().items()},
        "failing": {
            name: state.error for name, state in states.items() if state.failures >= LONG_FAILING
        },
    }


def _automation(runtime: Runtime) -> dict[str, Any]:
    settings = runtime.settings
    automation = runtime.fleet.automation
    return {
        "available": automation.available,
        "reason": automation.reason,
        "auto_start": settings.container_auto_start,
        "auto_stop": settings.container_auto_stop,
        "idle_check_interval": settings.container_check_interval,
    }

"""The sync jobs for operators: how they stand, and running one now."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse

from app.errors import JobSent, RequestRefused, StoreError
from app.records.store import JobState
from app.routers.operators import REFUSALS, operators_only
from app.routers.problems import refusals
from app.runtime import Runtime
from app.sync.job import Job
from app.sync.scheduler import Scheduler


class RunRequest(BaseModel):
    """How a job is to be run."""

    model_config = ConfigDict(extra="forbid")

    confirm: bool = Field(
        False, description="Believe what comes, whatever it looks like: what was held is let in."
    )


def sync_routes(runtime: Runtime) -> APIRouter:
    """``/sync``, for operators only."""
    allowed = Depends(operators_only(runtime.operators))
    router = APIRouter(
        prefix="/sync",
        tags=["Operators"],
        dependencies=[allowed],
        responses={**REFUSALS, **refusals(409)},
    )

    @router.get("", summary="The sync jobs: last and next run, rows, failures; wakes nothing")
    async def status() -> dict[str, Any]:
        scheduler = _scheduler(runtime)
        # What is known already is told all the same.
        with suppress(StoreError):
            await scheduler.look_around()
        return {
            "running": None if scheduler.running is None else asdict(scheduler.running),
            "jobs": [describe(job, scheduler) for job in scheduler.jobs.values()],
            "collections": {
                name: {"rows": one.rows, "as_of": _time(one.as_of), "served": True}
                for name, one in runtime.archive.shelf.generations().items()
            },
        }

    @router.post(
        "/{job}",
        summary="Run a job now, and wait for its end",
        responses={202: {"description": "A worker was told to"}, **refusals(404, 502)},
    )
    async def run(job: str, wanted: RunRequest | None = None) -> JSONResponse:
        scheduler = _scheduler(runtime)
        if job not in scheduler.jobs:
            known = ", ".join(scheduler.jobs)
            raise RequestRefused(404, "No such job", f"There is no job {job}; there are {known}.")
        wish, confirm = scheduler.jobs[job], wanted is not None and wanted.confirm
        try:
            await scheduler.trigger(wish, confirm=confirm)
        except JobSent as sent:
            return JSONResponse({**describe(wish, scheduler), "sent": str(sent)}, 202)
        return JSONResponse(describe(wish, scheduler))

    return router


def describe(job: Job, scheduler: Scheduler) -> dict[str, Any]:
    """How ``job`` stands, as far as is known here; times as RFC 3339, ``None``: never."""
    state = scheduler.states.get(job.name, JobState(job.name))
    return {
        "job": job.name,
        "collections": [one.name for one in job.collections],
        "last_began": _time(state.began_at),
        "last_ended": _time(state.ended_at),
        "last_good": _time(state.good_at),
        "next": _time(scheduler.due(job)),
        "seconds": round(state.seconds, 1),
        "rows": state.rows,
        "changed": state.changed,
        "failures": state.failures,
        "error": state.error,
        "held": {name: hold["words"] for name, hold in state.holds.items()},
    }


def _scheduler(runtime: Runtime) -> Scheduler:
    scheduler = runtime.upkeep.scheduler
    if scheduler is None:
        raise RequestRefused(
            409,
            "Jobs are not run here",
            "SYNC_ENABLED is off, or another worker of this gateway has the schedule.",
        )
    return scheduler


def _time(at: float) -> str | None:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds") if at else None

"""``drawbridge sync``: run jobs here and now, and see how those of a running gateway stand."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

import typer

from app.answering import realm
from app.config import Settings, load_settings
from app.errors import JobBusy
from app.jobs import open_sync
from app.logs import configure_logging
from app.records.store import JobState
from app.remote import RemoteGateway
from app.sync.job import JOBS, Job, jobs_for
from app.sync.lease import LocalLease
from app.sync.runner import Lease
from app.terminal import GATEWAY, At, Json, Key, print_json, print_table, span

_SHOWN = ("job", "last good", "next", "took", "rows", "changed", "failures", "error")


def sync_commands() -> typer.Typer:
    """``run`` and ``status``."""
    commands = typer.Typer(help="The records of the kingdom.", no_args_is_help=True)
    commands.command("run")(run)
    commands.command("status")(status)
    return commands


def run(
    jobs: Annotated[
        list[str] | None, typer.Argument(help="Jobs, in this order; none: all.", metavar="[JOB]...")
    ] = None,
    confirm: Annotated[
        bool, typer.Option("--confirm", help="Believe what comes, also what was held back.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Bring the kingdom's records up to date, whether or not a gateway runs."""
    unknown = [name for name in jobs or () if name not in JOBS]
    if unknown:
        raise typer.BadParameter(f"no job {', '.join(unknown)}; there are {', '.join(JOBS)}")
    settings = load_settings()
    configure_logging(settings.model_copy(update={"log_level": "ERROR"}))
    known = jobs_for(settings.follow_players)
    wanted = [known[name] for name in jobs or known]
    states = asyncio.run(_run(settings, wanted, confirm, quiet=as_json))
    if as_json:
        print_json([asdict(state) for state in states])
    if any(state.error for state in states) or len(states) < len(wanted):
        raise typer.Exit(1)


def status(at: At = GATEWAY, key: Key = None, as_json: Json = False) -> None:
    """How the jobs of a running gateway stand."""
    told = RemoteGateway(at, key).get("/sync")
    if as_json:
        print_json(told)
        return
    now = time.time()
    print_table(list(_SHOWN), [status_row(one, now) for one in told["jobs"]])


def status_row(told: dict[str, Any], now: float) -> list[str]:
    """One job, in words for people; ``now`` is the wall time."""
    good, due = _seconds(told["last_good"]), _seconds(told["next"])
    return [
        told["job"],
        "never" if good is None else f"{span(max(0.0, now - good))} ago",
        "" if due is None else "now" if due <= now else f"in {span(due - now)}",
        span(told["seconds"]),
        str(told["rows"]),
        str(told["changed"]),
        str(told["failures"] or ""),
        told["error"] or "",
    ]


async def _run(
    settings: Settings, jobs: Sequence[Job], confirm: bool, *, quiet: bool
) -> list[JobState]:
    """What became of the jobs; those that another process runs are left out, and told of."""
    from app.sync_progress import SyncProgress  # noqa: PLC0415

    states = []
    async with AsyncExitStack() as parts:
        lease = await _lease(settings, parts)
        runner = await parts.enter_async_context(open_sync(settings, lease))
        progress = parts.enter_context(SyncProgress(quiet=quiet))
        for job in jobs:
            progress.begin(job)
            try:
                state = await runner.run(job, progress=progress.seen, confirm=confirm)
            except JobBusy as busy:
                progress.skip(job, str(busy))
                continue
            progress.end(state)
            states.append(state)
    return states


async def _lease(settings: Settings, parts: AsyncExitStack) -> Lease:
    """The right to run a job, among all who meet where this gateway's workers do."""
    if settings.broker is None:
        return LocalLease()
    # The client takes 6 MB, and most gateways have no Redis.
    from app.coordination.meeting import open_job_leases  # noqa: PLC0415

    meeting = open_job_leases(settings.broker.get_secret_value(), realm(settings))
    return (await parts.enter_async_context(meeting)).lease


def _seconds(at: str | None) -> float | None:
    return None if at is None else datetime.fromisoformat(at).timestamp()

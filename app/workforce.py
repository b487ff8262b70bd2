"""Where jobs are run by workers, put together: the queue, and what is known of its workers.

Nothing of Celery or Redis is loaded before somebody has a use for it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

from app.config import Settings
from app.containers.fleet import Fleet
from app.containers.gate import ContainerGate
from app.sync.runner import Lease, Runner
from app.upkeep import Through

if TYPE_CHECKING:
    from app.coordination.link import Door, RedisLink
    from app.coordination.meeting import Meeting
    from app.dispatch import Dispatch


def job_lease(meeting: Meeting | None, realm: str) -> Lease | None:
    """The right to run a job among all that share a Redis; ``None``: among none but us."""
    if meeting is None:
        return None
    from app.coordination.job_lease import JobLeases  # noqa: PLC0415

    return JobLeases(meeting.link, realm=realm).lease


def by_workers(
    settings: Settings, realm: str, fleet: Fleet, meeting: Meeting | None, store: Door
) -> Through | None:
    """What has workers run what is due, and keeps them and the ``store`` up meanwhile; ``None``:
    jobs are run here."""
    if settings.celery_broker_url is None:
        return None
    worker = ContainerGate(fleet, "celery", within=settings.container_startup_timeout)
    same = meeting is not None and settings.celery_broker_url == settings.redis_url
    link = meeting.link if meeting is not None and same else None
    return partial(_open_dispatch, settings, realm, link, (worker, store))


@asynccontextmanager
async def _open_dispatch(
    settings: Settings,
    realm: str,
    link: RedisLink | None,
    doors: Sequence[Door],
    runner: Runner,
) -> AsyncIterator[Dispatch]:
    from app.coordination.job_lease import JobLeases  # noqa: PLC0415
    from app.coordination.meeting import open_link  # noqa: PLC0415
    from app.dispatch import Dispatch  # noqa: PLC0415
    from app.job_queue import JobQueue, celery_app  # noqa: PLC0415

    async with AsyncExitStack() as parts:
        if link is None and settings.broker is not None:
            link = await parts.enter_async_context(open_link(settings.broker.get_secret_value()))
        if link is None:
            raise ValueError("there is no broker")
        leases = JobLeases(link, realm=realm)
        queue = JobQueue(celery_app(settings, realm), leases)
        parts.push_async_callback(queue.aclose)
        dispatch = Dispatch(queue, leases, states=runner.states, doors=doors, broker=link.door)
        yield await parts.enter_async_context(dispatch)

"""Sync jobs outside of a gateway: only what they need, opened for one of them and closed again."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from app.answering import realm, traced_runs, upstream_client
from app.archive import open_archive
from app.backup.switch import finish
from app.cache.gate import OpenGate
from app.config import Settings
from app.metrics import Metrics
from app.storage.occupancy import in_use
from app.sync.proof import Proof
from app.sync.runner import Lease
from app.sync.scheduler import Runs
from app.upkeep import open_upkeep, polite_source

if TYPE_CHECKING:
    from app.coordination.link import RedisLink
    from app.tracing.spans import Tracing


@asynccontextmanager
async def open_sync(
    settings: Settings, lease: Lease, tracing: Tracing | None = None
) -> AsyncIterator[Runs]:
    """Only what a worker needs to run jobs, by the right of ``lease``; see ``Runner``.

    Nothing here wakes or stops a container: the gateways keep up what workers need.
    """
    async with AsyncExitStack() as parts:
        await finish(settings, realm(settings))
        parts.enter_context(in_use(settings.data_dir))
        link = await _link(settings, parts)
        archive = await parts.enter_async_context(
            open_archive(settings, OpenGate(), link, realm(settings), served=False)
        )
        upstream = await parts.enter_async_context(
            upstream_client(settings, Metrics(None), None, tracing)
        )
        source = polite_source(settings, upstream)
        upkeep = open_upkeep(
            settings,
            archive.records,
            source,
            awake=OpenGate().open,
            is_up=lambda: True,
            questions=lambda: 0.0,
            scheduled=False,
            publish=archive.publish,
            prove=Proof(source, archive.records, time.time).prove,
            lease=lease,
        )
        runner = (await parts.enter_async_context(upkeep)).runner
        around = traced_runs(tracing)
        yield runner if around is None else around(runner)


async def _link(settings: Settings, parts: AsyncExitStack) -> RedisLink | None:
    if settings.redis_url is None:
        return None
    from app.coordination.meeting import open_link  # noqa: PLC0415

    return await parts.enter_async_context(open_link(settings.redis_url.get_secret_value()))

"""A whole gateway whose jobs are run by a real worker."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from app.answering import realm
from app.config import NO_AUTOMATION, load_settings
from app.runtime import open_runtime
from app.sync.job import JOBS
from app.workforce import by_workers, job_lease
from tests.real.redis import RedisServer, redis_process, redis_server
from tests.waiting import until
from tests.workplace import open_workplace, until_ready

__all__ = ["redis_process", "redis_server"]
pytestmark = pytest.mark.real("redis")


@pytest.mark.parametrize("shared", [True, False], ids=["the same redis", "another"])
async def test_what_is_due_in_a_gateway_is_brought_by_a_worker(
    tmp_path: Path, redis_server: RedisServer, shared: bool
) -> None:
    began = time.time()
    async with open_workplace(tmp_path, redis_server.url) as workplace:
        # Whatever else is on the engine of the tests is none of ours.
        settings = workplace.settings.model_copy(update=dict(NO_AUTOMATION))
        if shared:
            settings = settings.model_copy(update={"redis_url": settings.celery_broker_url})
        with workplace.worker() as worker:
            await until_ready(worker)
            async with open_runtime(settings) as runtime:
                for job in JOBS:
                    state = await workplace.until_ended(job, began)
                    assert state.failures == 0
                assert runtime.upkeep.scheduler is not None
                # The gateway itself asked the kingdom nothing: it sent the jobs.
                await until(lambda: worker.log.count("a job was run") == len(JOBS))


async def test_without_a_broker_jobs_are_run_here(tmp_path: Path) -> None:
    settings = load_settings(data_dir=tmp_path, docker_host="unix:///nowhere")
    async with open_runtime(settings.model_copy(update={"sync_enabled": False})) as runtime:
        way = by_workers(settings, realm(settings), runtime.fleet, None, runtime.store_gate)
        assert way is None
        assert job_lease(None, realm(settings)) is None

"""Beat: what its schedule says, and a real process that sends it."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest
from celery.schedules import crontab

from app.beat import schedule
from app.sync.job import JOBS
from tests.real.redis import RedisServer, redis_process, redis_server
from tests.waiting import until
from tests.workplace import Workplace, until_ready, workplace

__all__ = ["redis_process", "redis_server", "workplace"]


def test_every_job_is_sent_in_its_quiet_cadence_and_daily_ones_after_the_roll_over() -> None:
    entries = schedule()
    for job in JOBS.values():
        entry = entries.pop(job.name)
        assert entry["schedule"] == timedelta(seconds=job.quiet)
        # Of two messages in a row the second finds that the first was long ago.
        assert 0.5 * job.quiet < entry["kwargs"]["within"] < job.quiet
        if job.daily:
            entry = entries.pop(f"{job.name}-roll-over")
            assert isinstance(entry["schedule"], crontab)
            midnight = datetime(2026, 11, 21, tzinfo=UTC)
            _, left = entry["schedule"].is_due(midnight - timedelta(seconds=1))
            assert left <= 24 * 3600
            # What ran before midnight does not count.
            assert entry["kwargs"]["within"] <= 60
    assert entries == {}


@pytest.mark.real("redis")
async def test_beat_has_everything_brought_and_keeps_its_place(workplace: Workplace) -> None:
    began = time.time()
    with workplace.beat() as beat, workplace.worker() as worker:
        await until_ready(worker)
        for job in JOBS:
            state = await workplace.until_ended(job, began)
            assert state.failures == 0, state
        assert beat.stop() == 0, beat.log
        assert "Traceback" not in beat.log
    assert list(workplace.settings.data_dir.glob("beat-schedule*"))
    # Begun anew it sends nothing: all has just been brought.
    with workplace.beat() as again:
        await until(lambda: "beat is ready" in again.log, 40)
        assert again.stop() == 0, again.log
    assert await workplace.waiting() == 0


@pytest.mark.real("redis")
async def test_beat_owes_what_it_cannot_send(
    workplace: Workplace, redis_server: RedisServer
) -> None:
    began = time.time()
    redis_server.kill()
    with workplace.beat() as beat:
        await until(lambda: "no word from redis" in beat.log, 40)
        redis_server.start()
        with workplace.worker():
            for job in JOBS:
                await workplace.until_ended(job, began)
        assert beat.stop() == 0, beat.log
    assert "Traceback" not in beat.log


@pytest.mark.real("redis")
async def test_beat_has_a_run_that_was_left_behind_begun_anew(workplace: Workplace) -> None:
    left_behind = f"{workplace.realm}:jobs:begun"
    with workplace.beat() as beat, workplace.worker():
        began = time.time()
        await workplace.until_ended("items", began - 60)
        second = time.time()
        await workplace.link.redis.hset(left_behind, "items", "of one who died")
        await workplace.until_ended("items", second)
        assert '"job":"items"' in beat.log

"""The sync jobs beside the collections, and beside how long answers stay fresh."""

from __future__ import annotations

from app.config import CacheSettings
from app.kingdom.catalogue import OPERATIONS
from app.kingdom.collections import COLLECTIONS
from app.kingdom.operation import Freshness
from app.sync.job import JOBS, jobs_for
from app.sync.pages import PAGE

BY_NAME = {operation.name: operation for operation in OPERATIONS}
FRESH = {
    Freshness.STATIC: CacheSettings().cache_ttl_static,
    Freshness.SLOW: CacheSettings().cache_ttl_slow,
}


def test_every_collection_is_fetched_by_one_job() -> None:
    fetched = [one.name for job in JOBS.values() for one in job.collections]
    assert sorted(fetched) == sorted(COLLECTIONS)
    assert all(job.name == name for name, job in JOBS.items())


def test_what_is_game_data_is_fetched_before_it_is_stale() -> None:
    for job in JOBS.values():
        assert 0 < job.every <= job.quiet
        for collection in job.collections:
            fresh = FRESH.get(BY_NAME[collection.operation].freshness)
            # Days and lotteries are dated: what is fetched again each hour is today's row.
            if collection.served and fresh is not None and job.name != "days":
                assert job.every < fresh, collection.name


def test_no_page_is_longer_than_the_upstream_gives() -> None:
    assert all((operation.page_size or 0) <= PAGE for operation in OPERATIONS)


def test_heroes_that_are_followed_are_fetched_with_the_active_ones() -> None:
    assert jobs_for(()) == JOBS
    jobs = jobs_for(("7", "8"))
    assert {name: job for name, job in jobs.items() if name != "players"} == {
        name: job for name, job in JOBS.items() if name != "players"
    }
    active, followed = jobs["players"].collections
    assert active == JOBS["players"].collections[0]
    assert (followed.name, followed.remembered_as) == ("followed-players", "players")
    assert followed.history == active.history
    assert followed.query == (("simplified", "true"), ("tokenIds[]", "7"), ("tokenIds[]", "8"))

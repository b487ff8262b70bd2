"""A collector, nginx, Redis and an engine: all of them real."""

from collections.abc import Iterator

import pytest

from tests.real.engine import engine_run, pytest_runtest_makereport, workshop
from tests.real.nginx import certificate, front
from tests.real.redis import redis_process, redis_server
from tests.receivers import Collector, receiving
from tests.workplace import workplace

__all__ = [
    "certificate",
    "engine_run",
    "front",
    "pytest_runtest_makereport",
    "redis_process",
    "redis_server",
    "workplace",
    "workshop",
]


@pytest.fixture
def collector() -> Iterator[Collector]:
    made = Collector()
    with receiving(made):
        yield made

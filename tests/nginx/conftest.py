"""A real nginx, and containers for what it lets through."""

from tests.real.engine import engine_run, pytest_runtest_makereport, workshop
from tests.real.nginx import certificate, front
from tests.real.redis import redis_process, redis_server

__all__ = [
    "certificate",
    "engine_run",
    "front",
    "pytest_runtest_makereport",
    "redis_process",
    "redis_server",
    "workshop",
]

"""A real Redis for the tests of coordination."""

from tests.real.redis import redis_client, redis_process, redis_server

__all__ = ["redis_client", "redis_process", "redis_server"]

"""What the tests of the benchmarks share: a server for MongoDB's protocol."""

from __future__ import annotations

from tests.real.mongodb import mongo_database, mongo_server

__all__ = ["mongo_database", "mongo_server"]

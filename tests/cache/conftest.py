"""What the tests of the cache share: a server for MongoDB's protocol, a cache, entries to store."""

from __future__ import annotations

from typing import Any

from app.cache.store import Entry
from tests.cache.kitchen import kitchen
from tests.real.mongodb import mongo_database, mongo_server

__all__ = ["kitchen", "make_entry", "mongo_database", "mongo_server"]


def make_entry(key: str = "k", **changes: Any) -> Entry:
    """An entry like those of the upstream, with ``changes`` by field name."""
    fields: dict[str, Any] = {
        "target": "GET /players?name=ada",
        "status": 200,
        "content_type": "application/json; charset=utf-8",
        "body": b'{"players":[]}',
        "etag": '"0123456789abcdef"',
        "stored_at": 1_750_000_000.123456,
        "fetch_seconds": 0.1,
    }
    return Entry(key=key, **(fields | changes))

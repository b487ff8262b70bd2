#!/opt/drawbridge/bin/python3
"""In the place of ``mongosh``, as the health check calls it: whether the server answers."""

from __future__ import annotations

import pymongo

pymongo.MongoClient[dict[str, object]](
    "mongodb://127.0.0.1:27017", serverSelectionTimeoutMS=3000
).admin.command("hello")

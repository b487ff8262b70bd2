"""The distributed response store: a collection of a MongoDB, which may be asleep.

A document is an entry's record with the key as ``_id``.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

import structlog

from app.cache.store import Entry, StoreStats, entry_of, record_of
from app.errors import StoreError
from app.storage.mongo_link import SCAN, Database, DuplicateKeyError, MongoLink

_log = structlog.get_logger(__name__)

MAX_BODY = 15_000_000
"""Bytes. A document may have 16 MB, of which the body leaves enough to the rest."""


class MongoStore:
    """A ``ResponseStore`` in the collection ``responses`` of ``database``.

    One call takes at most ``timeout`` seconds. Bodies over ``MAX_BODY`` bytes are refused with
    ``StoreError``. Raises ``StoreUnavailable`` if ``uri`` makes no sense.

    One write is under way at a time: the upstream gives answers more slowly than that, and
    servers that only speak MongoDB's protocol do not make a conditional update atomic
    (FerretDB/FerretDB#3040). MongoDB does, so that there "later wins" holds among processes too.
    """

    name = "mongodb"

    def __init__(
        self,
        uri: str,
        database: str,
        *,
        timeout: float = 2.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._link = MongoLink(uri, database, timeout=timeout, clock=clock)
        self._writing = asyncio.Lock()
        self._indexed = False

    def disconnect(self) -> None:
        """Take another client, see ``ResponseStore.disconnect``."""
        self._link.disconnect()

    async def get(self, key: str) -> Entry | None:
        document = await self._link.ask(lambda database: database.responses.find_one({"_id": key}))
        if document is None:
            return None
        entry = entry_of(document | {"key": document["_id"]})
        if entry is None:
            _log.warning("a stored answer is damaged: it counts as absent", key=key)
        return entry

    async def put(self, entry: Entry) -> None:
        if len(entry.body) > MAX_BODY:
            raise StoreError(
                f"an answer of {len(entry.body) / 1e6:.1f} MB is more than MongoDB takes"
                f" ({MAX_BODY / 1e6:g} MB): it is not stored"
            )
        await self._link.ask(lambda database: self._write(entry, database))

    async def delete(self, key: str) -> bool:
        result = await self._link.ask(lambda database: database.responses.delete_one({"_id": key}))
        return result.deleted_count > 0

    async def clear(self) -> int:
        return await self._remove({})

    async def prune(self, stored_before: float) -> int:
        return await self._remove({"stored_at": {"$lt": stored_before}})

    async def stats(self) -> StoreStats:
        await self.ping()  # a server that is not there must cost one limit, not ten
        return await self._link.ask(_measure, SCAN)

    async def ping(self) -> None:
        """Return if the collection can be read now, see ``ResponseStore.ping``."""
        await self._link.ping("responses")

    async def aclose(self) -> None:
        await self._link.aclose()

    async def _write(self, entry: Entry, database: Database) -> None:
        async with self._writing:
            if not self._indexed:
                await database.responses.create_index("stored_at")
                self._indexed = True
            await _replace_unless_later(_document(entry), database)

    async def _remove(self, condition: Mapping[str, Any]) -> int:
        await self.ping()  # as in stats
        result = await self._link.ask(
            lambda database: database.responses.delete_many(condition), SCAN
        )
        return result.deleted_count


async def _replace_unless_later(document: dict[str, Any], database: Database) -> None:
    # "Not later" and not "earlier": so a damaged record without a time gives way, too.
    condition = {"_id": document["_id"], "stored_at": {"$not": {"$gt": document["stored_at"]}}}
    try:
        await database.responses.replace_one(condition, document, upsert=True)
    except DuplicateKeyError:
        # A later one is there, or an earlier one that came between our look and our insert.
        await database.responses.replace_one(condition, document)


async def _measure(database: Database) -> StoreStats:
    # Two questions, because FerretDB 1.24 answers the second half of one with zero.
    entries = await database.responses.count_documents({})
    total = [{"$group": {"_id": None, "size": {"$sum": "$size"}}}]
    groups = await (await database.responses.aggregate(total)).to_list()
    return StoreStats(entries, groups[0]["size"] if groups else 0)


def _document(entry: Entry) -> dict[str, Any]:
    record = record_of(entry)
    return {"_id": record.pop("key"), **record, "size": len(entry.body)}

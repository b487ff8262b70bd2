"""The distributed response store: a collection of a MongoDB, which may be asleep.

A document is an entry's record with the key as ``_id``. Nothing is sent before the first call, and
a server that is not there costs a call no more than its time limit; the driver finds it again by
itself. What the driver raises is translated in one place, and nothing of the URI but host names
ever gets into a message: it holds a password.
"""

from __future__ import annotations

import asyncio
import time
import warnings
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import pymongo
import structlog
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.errors import BSONError
from pymongo import AsyncMongoClient, errors
from pymongo.asynchronous.collection import AsyncCollection

from app.cache.store import Entry, StoreStats, entry_of, record_of
from app.errors import StoreError, StoreUnavailable

_log = structlog.get_logger(__name__)
T = TypeVar("T")

MAX_BODY = 15_000_000
"""Bytes. A document may have 16 MB, of which the body leaves enough to the rest."""

_SCAN = 10
"""How many times the limit of one call a walk over everything may take."""
_LEFT_ALONE = 0.25
"""Seconds that a client has to find its server before another takes its place."""
_HEADSTART = 0.9
"""The driver's part of the time limit: its reason is worth more than our own cut-off."""
_FOREIGN = (errors.PyMongoError, BSONError, OSError, UnicodeError, OverflowError)
_UNREACHABLE = (
    errors.ConnectionFailure,
    errors.ConfigurationError,
    errors.ExecutionTimeout,
    errors.WTimeoutError,
    TimeoutError,
    OSError,
)
_REFUSED_LOGINS = {13, 18, 8000}

# Damage must decode to something, so that the checksum can tell: not raise.
_LENIENT: CodecOptions[dict[str, Any]] = CodecOptions(
    unicode_decode_error_handler="replace", datetime_conversion=DatetimeConversion.DATETIME_AUTO
)


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
        self._timeout = timeout
        self._clock = clock
        # A function, and not the URI itself: that holds a password, and objects are shown in logs.
        self._made: Callable[[], AsyncMongoClient[dict[str, Any]]]
        self._made = lambda: _client(uri, timeout)
        self._database = database
        self._connect()
        self._writing = asyncio.Lock()
        self._indexed = False
        self._closed = False
        self._under_way: set[asyncio.Task[Any]] = set()

    def _connect(self) -> None:
        """Have a client; nothing is sent yet."""
        self._made_at, self._used = self._clock(), False
        self._client = self._made()
        self._responses: AsyncCollection[dict[str, Any]] = self._client[
            self._database
        ].get_collection("responses", codec_options=_LENIENT)

    def disconnect(self) -> None:
        """Take another client, see ``ResponseStore.disconnect``.

        The driver looks for a server every half second at most. One that found its connections
        dead would let a server that was just woken wait for so long; a new one looks at once.
        """
        if self._closed or not self._used:
            return
        retired = _retire(self._client, set(self._under_way), self._timeout)
        self._connect()
        self._own(asyncio.create_task(retired, name="retire a client"))

    def _disconnect_if_lost(self) -> None:
        """The same if this client has lost its server and nobody told us."""
        topology = self._client.topology_description
        lost = any(server.error for server in topology.server_descriptions().values())
        young = self._clock() < self._made_at + _LEFT_ALONE
        if lost and not young and not topology.has_readable_server():
            self.disconnect()

    def _own(self, task: asyncio.Task[Any]) -> None:
        self._under_way.add(task)
        task.add_done_callback(self._is_done)

    async def get(self, key: str) -> Entry | None:
        document = await self._ask(lambda: self._responses.find_one({"_id": key}))
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
        await self._ask(lambda: self._write(entry))

    async def delete(self, key: str) -> bool:
        result = await self._ask(lambda: self._responses.delete_one({"_id": key}))
        return result.deleted_count > 0

    async def clear(self) -> int:
        return await self._remove({})

    async def prune(self, stored_before: float) -> int:
        return await self._remove({"stored_at": {"$lt": stored_before}})

    async def stats(self) -> StoreStats:
        await self.ping()  # a server that is not there must cost one limit, not ten
        return await self._ask(self._measure, _SCAN)

    async def ping(self) -> None:
        """Return if the collection can be read now, see ``ResponseStore.ping``."""
        try:
            # Not the command "ping": that one needs no login.
            await self._ask(lambda: self._responses.find_one({"_id": ""}, {"_id": 1}))
        except StoreUnavailable:
            raise
        except StoreError as error:
            raise StoreUnavailable(str(error)) from None

    async def aclose(self) -> None:
        self._closed = True
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=self._timeout)
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)
        await _close(self._client, self._timeout)

    async def _write(self, entry: Entry) -> None:
        async with self._writing:
            if not self._indexed:
                await self._responses.create_index("stored_at")
                self._indexed = True
            await self._replace_unless_later(_document(entry))

    async def _replace_unless_later(self, document: dict[str, Any]) -> None:
        # "Not later" and not "earlier": so a damaged record without a time gives way, too.
        condition = {"_id": document["_id"], "stored_at": {"$not": {"$gt": document["stored_at"]}}}
        try:
            await self._responses.replace_one(condition, document, upsert=True)
        except errors.DuplicateKeyError:
            # A later one is there, or an earlier one that came between our look and our insert.
            await self._responses.replace_one(condition, document)

    async def _remove(self, condition: Mapping[str, Any]) -> int:
        await self.ping()  # as in stats
        result = await self._ask(lambda: self._responses.delete_many(condition), _SCAN)
        return result.deleted_count

    async def _measure(self) -> StoreStats:
        # Two questions, because FerretDB 1.24 answers the second half of one with zero.
        entries = await self._responses.count_documents({})
        total = [{"$group": {"_id": None, "size": {"$sum": "$size"}}}]
        groups = await (await self._responses.aggregate(total)).to_list()
        return StoreStats(entries, groups[0]["size"] if groups else 0)

    async def _ask(self, question: Callable[[], Awaitable[T]], share: int = 1) -> T:
        """Ask the server, within ``share`` times the limit, and translate what goes wrong."""
        if self._closed:
            raise StoreUnavailable("the connection to MongoDB was closed")
        self._disconnect_if_lost()
        self._used = True
        seconds = self._timeout * share
        # In a task of its own, because a driver that is cancelled while it connects forgets its
        # socket (mongodb/mongo-python-driver#2858); left alone it ends by itself in time.
        task = asyncio.create_task(_answer(question, seconds * _HEADSTART))
        self._own(task)
        try:
            async with asyncio.timeout(seconds):
                return await asyncio.shield(task)
        except _FOREIGN as error:
            # Without the original: what it holds on to is not ours to show.
            raise translate(error, seconds) from None

    def _is_done(self, task: asyncio.Task[Any]) -> None:
        self._under_way.discard(task)
        if not task.cancelled():
            task.exception()  # seen, also when the one who asked has gone


def _client(uri: str, timeout: float) -> AsyncMongoClient[dict[str, Any]]:
    milliseconds = max(1, int(timeout * _HEADSTART * 1000))
    try:
        with warnings.catch_warnings():
            # The driver would only warn of an option that it does not understand, and leave
            # it out: "tls=yes" would mean no TLS.
            warnings.simplefilter("error", UserWarning)
            return AsyncMongoClient(
                uri,
                appname="drawbridge",
                serverSelectionTimeoutMS=milliseconds,
                connectTimeoutMS=milliseconds,
            )
    except (errors.PyMongoError, ValueError, TypeError, UserWarning) as error:
        # The driver quotes what it could not read, which may be a piece of the password.
        raise StoreUnavailable(
            f"MONGODB_URI makes no sense ({type(error).__name__}): write"
            " mongodb://user:password@host:27017, with %XX for special characters, and"
            " only options that the driver knows"
        ) from None


async def _retire(
    client: AsyncMongoClient[dict[str, Any]], users: set[asyncio.Task[Any]], within: float
) -> None:
    """Close ``client`` when those who use it have ended."""
    if users:
        await asyncio.wait(users, timeout=within)
    await _close(client, within)


async def _close(client: AsyncMongoClient[dict[str, Any]], within: float) -> None:
    try:
        async with asyncio.timeout(within * 2):
            with pymongo.timeout(within):  # it says goodbye to a server that may hang
                await client.close()
    except TimeoutError:
        _log.warning("the connections to MongoDB did not close in time")


async def _answer(question: Callable[[], Awaitable[T]], seconds: float) -> T:
    with pymongo.timeout(seconds):
        return await question()


def translate(error: Exception, seconds: float) -> StoreError:
    """What an error of the driver means to us, within a limit of ``seconds``."""
    code = error.code if isinstance(error, errors.OperationFailure) else None
    what = type(error).__name__ + (f", code {code}" if code is not None else "")
    if code in _REFUSED_LOGINS:
        return StoreUnavailable(
            f"MongoDB does not let us in ({what}): check user and password in MONGODB_URI"
        )
    if isinstance(error, errors.ConfigurationError):
        return StoreUnavailable(f"MongoDB cannot be found ({what}): check MONGODB_URI")
    if isinstance(error, _UNREACHABLE) or getattr(error, "timeout", False):
        return StoreUnavailable(f"MongoDB gave no answer within {seconds:g} s ({what})")
    return StoreError(f"MongoDB refused ({what})")


def _document(entry: Entry) -> dict[str, Any]:
    record = record_of(entry)
    return {"_id": record.pop("key"), **record, "size": len(entry.body)}

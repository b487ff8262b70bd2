"""A MongoDB that may be asleep: the client, its deadlines, and what its errors mean.

Nothing is sent before the first call, and a server that is not there costs a call no more than its
time limit; the driver finds it again by itself. What the driver raises is translated in one place,
and nothing of the URI but host names ever gets into a message: it holds a password.
"""

from __future__ import annotations

import asyncio
import time
import warnings
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import pymongo
import structlog
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.errors import BSONError
from pymongo import AsyncMongoClient, UpdateOne, errors
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import BulkWriteError, DuplicateKeyError

from app.errors import StoreError, StoreUnavailable

__all__ = [
    "SCAN",
    "BulkWriteError",
    "Database",
    "Documents",
    "DuplicateKeyError",
    "MongoLink",
    "UpdateOne",
    "translate",
]

_log = structlog.get_logger(__name__)
T = TypeVar("T")
Database = AsyncDatabase[dict[str, Any]]
Documents = AsyncCollection[dict[str, Any]]

SCAN = 10
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


class MongoLink:
    """The database ``database`` of the server at ``uri``.

    One call takes at most ``timeout`` seconds unless told otherwise. What goes wrong is a
    ``StoreError``, or ``StoreUnavailable`` when the server as a whole cannot be used; that is also
    raised here if ``uri`` makes no sense. ``clock`` is monotonic.
    """

    def __init__(
        self,
        uri: str,
        database: str,
        *,
        timeout: float = 2.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.timeout = timeout
        self._clock = clock
        # A function, and not the URI itself: that holds a password, and objects are shown in logs.
        self._made: Callable[[], AsyncMongoClient[dict[str, Any]]]
        self._made = lambda: _client(uri, timeout)
        self._name = database
        self._connect()
        self._closed = False
        self._under_way: set[asyncio.Task[Any]] = set()
        self._retiring: set[asyncio.Task[Any]] = set()

    async def ask(self, question: Callable[[Database], Awaitable[T]], share: int = 1) -> T:
        """The answer of the server, within ``share`` times the limit.

        ``question`` goes on by itself, and for no longer than that, when the one who asked has
        gone: it may have an effect that nobody hears of.
        """
        if self._closed:
            raise StoreUnavailable("the connection to MongoDB was closed")
        self._disconnect_if_lost()
        self._used = True
        seconds = self.timeout * share
        # In a task of its own, because a driver that is cancelled while it connects forgets its
        # socket (mongodb/mongo-python-driver#2858); left alone it ends by itself in time.
        task = asyncio.create_task(_answer(question, self._database, seconds * _HEADSTART))
        self._own(task)
        try:
            async with asyncio.timeout(seconds):
                return await asyncio.shield(task)
        except _FOREIGN as error:
            # Without the original: what it holds on to is not ours to show.
            raise translate(error, seconds) from None

    async def ping(self, collection: str) -> None:
        """Return if ``collection`` can be read now, raise ``StoreUnavailable`` if not."""
        try:
            # Not the command "ping": that one needs no login.
            await self.ask(lambda database: database[collection].find_one({"_id": ""}, {"_id": 1}))
        except StoreUnavailable:
            raise
        except StoreError as error:
            raise StoreUnavailable(str(error)) from None

    def disconnect(self) -> None:
        """Take another client; whoever waits with this one is not disturbed.

        The driver looks for a server every half second at most. One that found its connections
        dead would let a server that was just woken wait for so long; a new one looks at once.
        """
        if self._closed or not self._used:
            return
        retired = _retire(self._client, set(self._under_way), self.timeout)
        self._connect()
        task = asyncio.create_task(retired, name="retire a client")
        self._own(task)
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)

    async def aclose(self) -> None:
        """Give the connections back. May be called twice."""
        self._closed = True
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=self.timeout)
        for task in self._under_way - self._retiring:  # a client that is half closed leaks
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)
        await _close(self._client, self.timeout)

    def _connect(self) -> None:
        """Have a client; nothing is sent yet."""
        self._made_at, self._used = self._clock(), False
        self._client = self._made()
        self._database: Database = self._client.get_database(self._name, codec_options=_LENIENT)

    def _disconnect_if_lost(self) -> None:
        """Take another client if this one has lost its server and nobody told us."""
        topology = self._client.topology_description
        lost = any(server.error for server in topology.server_descriptions().values())
        young = self._clock() < self._made_at + _LEFT_ALONE
        if lost and not young and not topology.has_readable_server():
            self.disconnect()

    def _own(self, task: asyncio.Task[Any]) -> None:
        self._under_way.add(task)
        task.add_done_callback(self._is_done)

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


async def _answer(
    question: Callable[[Database], Awaitable[T]], database: Database, seconds: float
) -> T:
    with pymongo.timeout(seconds):
        return await question(database)


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

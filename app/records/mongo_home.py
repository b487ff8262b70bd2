"""Where in a MongoDB the records are, and of which schema: looked up before they are used.

A backup is put back beside what is there, into collections whose names begin otherwise. Which ones
count is told by the last document in ``records_homes``; where there is none the names have nothing
before them. So what is there is exchanged by one insert, and whoever uses it moves over within a
few seconds: drafts of the home before are void, because the one after it has not begun them.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import TypeVar, cast

from app.errors import StoreUnavailable
from app.storage.mongo_link import Database, Documents, DuplicateKeyError, MongoLink

T = TypeVar("T")

NAME = "records_homes"
SCHEMA = 1
"""What this program writes. What is marked with no number is of the first."""
_LOOK_EVERY = 5.0
_DIGITS = 6


class MongoHome(MongoLink):
    """The link to the records, wherever they are; raises ``StoreUnavailable`` if their schema is
    none that this program knows.

    ``number`` is the home to use whatever counts: one that is being made.
    """

    def __init__(
        self,
        uri: str,
        database: str,
        *,
        timeout: float = 2.0,
        clock: Callable[[], float] = time.monotonic,
        number: int | None = None,
    ) -> None:
        super().__init__(uri, database, timeout=timeout, clock=clock)
        self._fixed = number
        self._number = number or 0
        self._looked_at: float | None = None

    async def ask(self, question: Callable[[Database], Awaitable[T]], share: int = 1) -> T:
        """See ``MongoLink.ask``; the names of collections are those within the home."""

        async def at_home(database: Database) -> T:
            await self._look(database)
            return await question(rooms(database, self._number))

        return await super().ask(at_home, share)

    async def _look(self, database: Database) -> None:
        now = self._clock()
        if self._fixed is not None:
            return
        if self._looked_at is None or now >= self._looked_at + _LOOK_EVERY:
            self._number = await home_of(database)
            self._looked_at = now


async def home_of(database: Database) -> int:
    """The number of the home that counts. Raises ``StoreUnavailable`` if its schema is newer."""
    newest = await database[NAME].find({}).sort("_id", -1).limit(1).to_list()
    for document in newest:
        if document["schema"] > SCHEMA:
            raise StoreUnavailable(
                "the records in MongoDB were written by a newer Drawbridge (schema"
                f" {document['schema']}, this program knows {SCHEMA}): upgrade Drawbridge, or"
                " name another MONGODB_DATABASE"
            )
        return int(document["_id"])
    return 0


async def free_home(database: Database) -> int:
    """The number of a home that nobody has used, greater than that of all which were."""
    return await home_of(database) + 1


async def move(database: Database, number: int) -> None:
    """Let the home ``number`` count. To do it again changes nothing."""
    try:
        await database[NAME].insert_one({"_id": f"{number:0{_DIGITS}}", "schema": SCHEMA})
    except DuplicateKeyError:
        return


async def clear_out(database: Database) -> None:
    """Drop the collections of all homes but that which counts."""
    ours = _prefix(await home_of(database))
    for name in await database.list_collection_names():
        before, found, _ = name.partition("records_")
        is_home = found and (not before or before.startswith("restored"))
        if is_home and before != ours and name != NAME:
            await database.drop_collection(name)


async def is_empty(database: Database) -> bool:
    """Whether nothing was ever committed in the home that counts."""
    number = await home_of(database)
    names = ("records_generations", "records_jobs", "records_history")
    home = rooms(database, number)
    found = [await home[name].find_one({}, {"_id": 1}) for name in names]
    return not any(found)


def rooms(database: Database, number: int) -> Database:
    """The collections of the home ``number``, by the names that they have in each."""
    prefix = _prefix(number)
    # It can do the one thing that stores do with a database.
    return cast(Database, _Rooms(database, prefix)) if prefix else database


def _prefix(number: int) -> str:
    return f"restored{number}_" if number else ""


class _Rooms:
    """Collections whose names begin with ``prefix``."""

    def __init__(self, database: Database, prefix: str) -> None:
        self._database = database
        self._prefix = prefix

    def __getitem__(self, name: str) -> Documents:
        return self._database[self._prefix + name]

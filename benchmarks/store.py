"""Whether a store with a million answers finds one as quickly as a store with a thousand.

Both are filled with answers of about a kilobyte, and asked in turn for one after the other at
random, through the store as the gateway uses it.
"""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any

import uvloop
from pymongo import AsyncMongoClient
from pymongo.asynchronous.collection import AsyncCollection

from app.cache.mongo import MongoStore
from app.cache.sqlite import SqliteStore
from app.cache.store import Entry, ResponseStore, record_of
from benchmarks.percentile import percentile
from benchmarks.result import Bar, Figure, Result
from tests.real.mongodb import PROGRAMS, MongoProcess, MongoServer
from tests.real.require import find_binary

MOST = 2.0
"""Times the p99 of the small store."""
_BATCH = 2_000
_PATIENCE = 60.0
"""Seconds that one call may take while a store is filled; none does when it is measured."""

Put = Callable[[Sequence[Entry]], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Scale:
    """How many answers there are, and how many are asked for from each store in a round."""

    few: int = 1_000
    many: int = 1_000_000
    rounds: int = 7
    gets: int = 2_000


@dataclass(frozen=True, slots=True)
class Round:
    """Milliseconds that each look-up took."""

    few: list[float]
    many: list[float]

    @property
    def growth(self) -> float:
        return percentile(self.many, 0.99) / percentile(self.few, 0.99)


def run(tiny: bool) -> Result:
    """Measure SQLite, and MongoDB or what speaks its protocol where that can be had."""
    scale = Scale(few=50, many=500, rounds=1, gets=50) if tiny else Scale()
    notes = []
    with tempfile.TemporaryDirectory(prefix="store-") as name:
        folder = Path(name)
        measured = {"sqlite": uvloop.run(_sqlite(folder, scale))}
        with mongodb(folder) as (program, server):
            if server is None:
                notes.append("mongodb is left out: there is neither MONGODB_URI nor a program")
            else:
                data = folder / "data" if program == "ferretdb" else None
                if data is not None:
                    notes.append("ferretdb was given an index on _id, which it does not use itself")
                measured[program] = uvloop.run(_mongodb(server.uri, data, scale))
    rows = [row for name, rounds in measured.items() for row in _rows(name, rounds, scale)]
    bars = tuple(_bar(name, rounds) for name, rounds in measured.items())
    return Result("store", tuple(rows), bars, tuple(notes))


async def _sqlite(folder: Path, scale: Scale) -> list[Round]:
    few = SqliteStore(folder / "few.sqlite3", timeout=_PATIENCE)
    many = SqliteStore(folder / "many.sqlite3", timeout=_PATIENCE)
    try:
        for store, count in ((few, scale.few), (many, scale.many)):
            await fill(partial(_put_together, store), count, "sqlite")
        return await measure(few, many, scale)
    finally:
        await few.aclose()
        await many.aclose()


async def _put_together(store: ResponseStore, entries: Sequence[Entry]) -> None:
    """Those that wait at the same time are written in one transaction."""
    await asyncio.gather(*map(store.put, entries))


async def _mongodb(uri: str, ferretdb: Path | None, scale: Scale) -> list[Round]:
    names = [f"bench_{uuid.uuid4().hex[:12]}_{which}" for which in ("few", "many")]
    few, many = (MongoStore(uri, name, timeout=_PATIENCE) for name in names)
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(uri)
    try:
        for store, name, count in ((few, names[0], scale.few), (many, names[1], scale.many)):
            await store.put(entry(0))  # which makes the index that every later row goes into
            await fill(partial(insert, client[name]["responses"]), count, "mongodb", first=1)
        if ferretdb is not None:
            for name in names:
                index_by_id(ferretdb / f"{name}.sqlite")
        return await measure(few, many, scale)
    finally:
        for name in names:
            await client.drop_database(name)
        await client.close()
        await few.aclose()
        await many.aclose()


async def insert(responses: AsyncCollection[dict[str, Any]], entries: Sequence[Entry]) -> None:
    """The documents that ``MongoStore.put`` writes, many at once: one by one takes over an hour."""
    records = [record_of(entry) for entry in entries]
    documents = [
        {"_id": record.pop("key"), **record, "size": len(record["body"])} for record in records
    ]
    await responses.insert_many(documents, ordered=False)


def index_by_id(file: Path) -> None:
    """Give FerretDB's file the index on ``_id`` that MongoDB always has.

    FerretDB 1.24 makes one on ``->"_id"`` and asks for ``->'$._id'``, which to SQLite is something
    else: it reads the whole table for each look-up, and the figures would be about that.
    """
    with closing(sqlite3.connect(file, timeout=_PATIENCE)) as connection:
        tables = "SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'responses%'"
        for (table,) in connection.execute(tables).fetchall():
            connection.execute(f"""CREATE INDEX "by_id" ON "{table}" (_ferretdb_sjson->'$._id')""")


async def fill(put: Put, count: int, where: str, first: int = 0) -> None:
    """Hand the entries with the numbers from ``first`` up to ``count`` to ``put``, in batches."""
    began = time.monotonic()
    for batch, start in enumerate(range(first, count, _BATCH), start=1):
        end = min(start + _BATCH, count)
        await put([entry(number) for number in range(start, end)])
        if end == count or batch % 50 == 0:
            seconds = time.monotonic() - began
            print(f"{where}: {end:,} of {count:,} entries in {seconds:.0f} s", file=sys.stderr)


def entry(number: int) -> Entry:
    """An answer of about a kilobyte, always the same for a ``number``, unlike any other."""
    target = f"GET /players/{number}"
    digest = blake2b(target.encode(), digest_size=16).hexdigest()
    content = random.Random(number).randbytes(490).hex()
    return Entry(
        key=digest,
        target=target,
        status=200,
        content_type="application/json; charset=utf-8",
        body=f'{{"player":{{"id":"{number}","content":"{content}"}}}}'.encode(),
        etag=f'"{digest}"',
        stored_at=1_790_000_000.0 + number / 10,
        fetch_seconds=0.05,
    )


async def measure(few: ResponseStore, many: ResponseStore, scale: Scale) -> list[Round]:
    """The times of each round; a first one, in which both sides warm up, is left out."""
    chance = random.Random(1)
    rounds = []
    for number in range(scale.rounds + 1):
        print(f"store, round {number} of {scale.rounds}", file=sys.stderr)
        times = Round([], [])
        for _ in range(scale.gets):
            times.few.append(await _timed(few, chance.randrange(scale.few)))
            times.many.append(await _timed(many, chance.randrange(scale.many)))
        rounds.append(times)
    return rounds[1:]


async def _timed(store: ResponseStore, number: int) -> float:
    wanted = entry(number)
    began = time.perf_counter()
    found = await store.get(wanted.key)
    took = time.perf_counter() - began
    if found != wanted:
        raise RuntimeError(f"{store.name} has not kept entry {number}")
    return took * 1000


@contextmanager
def mongodb(folder: Path) -> Iterator[tuple[str, MongoServer | None]]:
    """What the server is, and the server: at ``MONGODB_URI``, or a process of our own."""
    if uri := os.environ.get("MONGODB_URI"):
        yield "mongodb", MongoServer(uri)
        return
    for name, command in PROGRAMS.items():
        binary = find_binary(name)
        if binary is not None:
            server = MongoProcess(binary, command, folder)
            server.start()
            try:
                yield name, server
            finally:
                server.stop()
            return
    yield "", None


def _rows(name: str, rounds: list[Round], scale: Scale) -> Iterator[dict[str, Figure]]:
    for count, times in (
        (scale.few, [one.few for one in rounds]),
        (scale.many, [one.many for one in rounds]),
    ):
        yield {
            "store": name,
            "entries": count,
            "p50 ms": statistics.median(percentile(one, 0.5) for one in times),
            "p99 ms": statistics.median(percentile(one, 0.99) for one in times),
        }


def _bar(name: str, rounds: list[Round]) -> Bar:
    growth = statistics.median(one.growth for one in rounds)
    return Bar(f"{name}: p99 under {MOST:g} times", f"{growth:.2f} times", met=growth < MOST)

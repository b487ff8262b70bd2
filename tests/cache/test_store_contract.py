"""The promises of ``app/cache/store.py``, held by every store over a real engine."""

from __future__ import annotations

import asyncio
import random
import socket
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, Protocol

import pytest
from pymongo import MongoClient

from app.cache.memory import MemoryTier
from app.cache.mongo import MongoStore
from app.cache.sqlite import SqliteStore
from app.cache.store import Entry, ResponseStore, StoreStats
from app.errors import StoreUnavailable
from tests.cache.conftest import make_entry
from tests.real.mongodb import MongoServer

PATIENCE = 30.0


class MemoryStore:
    """The memory tier with a store's face."""

    name = "memory"

    def __init__(self) -> None:
        self._tier = MemoryTier(64_000_000)

    async def get(self, key: str) -> Entry | None:
        return self._tier.get(key)

    async def put(self, entry: Entry) -> None:
        self._tier.put(entry)

    async def delete(self, key: str) -> bool:
        return self._tier.delete(key)

    async def clear(self) -> int:
        return self._tier.clear()

    async def prune(self, stored_before: float) -> int:
        return self._tier.prune(stored_before)

    async def stats(self) -> StoreStats:
        return self._tier.stats()

    async def ping(self) -> None:
        return

    def disconnect(self) -> None:
        return

    async def aclose(self) -> None:
        return


class Engine(Protocol):
    """One kind of store over one place to keep things."""

    def open(self) -> ResponseStore:
        """Another store over the same place."""

    def unreachable(self) -> ResponseStore:
        """A store whose engine is not there."""

    def damage(self, key: str, field: str, value: Any) -> None:
        """Overwrite one field of a record, past the store."""


class SqliteEngine:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / "made" / "on" / "demand" / "responses.db"

    def open(self) -> ResponseStore:
        return SqliteStore(self._path, timeout=PATIENCE)

    def unreachable(self) -> ResponseStore:
        a_file = self._folder / "a file"
        a_file.touch()
        return SqliteStore(a_file / "responses.db", timeout=PATIENCE)

    def damage(self, key: str, field: str, value: Any) -> None:
        connection = sqlite3.connect(self._path)
        statement = f"UPDATE responses SET {field} = ? WHERE key = ?"  # noqa: S608
        connection.execute(statement, (value, key))
        connection.commit()
        connection.close()


class MongoEngine:
    def __init__(self, uri: str, database: str) -> None:
        self._uri = uri
        self._database = database

    def open(self) -> ResponseStore:
        return MongoStore(self._uri, self._database, timeout=PATIENCE)

    def unreachable(self) -> ResponseStore:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        return MongoStore(f"mongodb://127.0.0.1:{port}", self._database, timeout=0.1)

    def damage(self, key: str, field: str, value: Any) -> None:
        with MongoClient[dict[str, Any]](self._uri) as client:
            client[self._database].responses.update_one({"_id": key}, {"$set": {field: value}})


DURABLE = [
    "sqlite",
    pytest.param("mongodb", marks=pytest.mark.real("mongodb")),
]


def _engine(kind: str, request: pytest.FixtureRequest, folder: Path) -> Engine:
    if kind == "sqlite":
        return SqliteEngine(folder)
    server: MongoServer = request.getfixturevalue("mongo_server")
    return MongoEngine(server.uri, request.getfixturevalue("mongo_database"))


@pytest.fixture(params=DURABLE)
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Engine:
    """Each engine that outlives the process, empty."""
    return _engine(request.param, request, tmp_path)


@pytest.fixture(params=["memory", *DURABLE])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[ResponseStore]:
    """Each store, empty."""
    in_memory = request.param == "memory"
    store = MemoryStore() if in_memory else _engine(request.param, request, tmp_path).open()
    yield store
    await store.aclose()


@pytest.fixture
async def durable(engine: Engine) -> AsyncIterator[ResponseStore]:
    """A store over ``engine``."""
    store = engine.open()
    yield store
    await store.aclose()


async def test_what_was_never_put_is_absent(store: ResponseStore) -> None:
    assert await store.get("k") is None
    assert await store.delete("k") is False
    assert await store.clear() == 0
    assert await store.prune(2e9) == 0
    assert (await store.stats()) == StoreStats(0, 0)


async def test_what_was_put_comes_back_equal(store: ResponseStore) -> None:
    await store.put(make_entry("a"))
    await store.put(make_entry("b", status=404))
    assert await store.get("a") == make_entry("a")
    assert await store.get("b") == make_entry("b", status=404)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(bytes(range(256)) * 3, id="every byte"),
        pytest.param(b"\x00", id="zero"),
        pytest.param("{'name': 'Søren 🐉'}".encode("utf-16"), id="utf-16"),
        pytest.param(random.Random(1).randbytes(5_000_000), id="5 MB"),
    ],
)
async def test_a_body_comes_back_byte_for_byte(store: ResponseStore, body: bytes) -> None:
    await store.put(make_entry(body=body))
    found = await store.get("k")
    assert found is not None
    assert found.body == body


@pytest.mark.parametrize(
    "changes",
    [
        {"target": "GET /players?name=Søren 🐉\x00'\"$.%41"},
        {"target": ""},
        {"content_type": "", "etag": ""},
        {"stored_at": 0.1 + 0.2, "fetch_seconds": 1e-9},
        {"stored_at": 1_750_000_000, "fetch_seconds": 0},
        {"key": "k.$ey'\"; DROP TABLE responses; --"},
    ],
)
async def test_odd_values_come_back_equal(store: ResponseStore, changes: dict[str, Any]) -> None:
    entry = make_entry(**changes)
    await store.put(entry)
    assert await store.get(entry.key) == entry


async def test_an_entry_replaces_an_earlier_one(store: ResponseStore) -> None:
    await store.put(make_entry(stored_at=1.0, body=b"old, and longer than the new one"))
    await store.put(make_entry(stored_at=2.0, body=b"new"))
    assert await store.get("k") == make_entry(stored_at=2.0, body=b"new")
    assert (await store.stats()).entries == 1


async def test_an_entry_replaces_one_of_the_same_moment(store: ResponseStore) -> None:
    await store.put(make_entry(body=b"first"))
    await store.put(make_entry(body=b"second"))
    assert await store.get("k") == make_entry(body=b"second")


async def test_an_entry_never_replaces_a_later_one(store: ResponseStore) -> None:
    await store.put(make_entry(stored_at=2.0, body=b"late"))
    await store.put(make_entry(stored_at=1.0, body=b"early"))
    assert await store.get("k") == make_entry(stored_at=2.0, body=b"late")


@pytest.mark.parametrize("seed", range(5))
async def test_the_latest_wins_among_many_at_once(store: ResponseStore, seed: int) -> None:
    moments = [float(moment) for moment in range(30)]
    random.Random(seed).shuffle(moments)
    await asyncio.gather(*(store.put(make_entry(stored_at=moment)) for moment in moments))
    assert await store.get("k") == make_entry(stored_at=29.0)


async def test_two_hundred_puts_and_gets_at_once(store: ResponseStore) -> None:
    entries = [make_entry(f"k{number}", body=b"%d" % number) for number in range(200)]
    seen = asyncio.gather(*(store.get(entry.key) for entry in entries))
    await asyncio.gather(*(store.put(entry) for entry in entries))
    for early, entry in zip(await seen, entries, strict=True):
        assert early in (None, entry)
    assert await asyncio.gather(*(store.get(entry.key) for entry in entries)) == entries


async def test_a_reader_sees_an_entry_whole(store: ResponseStore) -> None:
    versions = [make_entry(stored_at=float(n), body=b"%d" % n * 50_000) for n in range(20)]
    await store.put(versions[0])

    async def write() -> None:
        for version in versions:
            await store.put(version)

    writing = asyncio.create_task(write())
    seen = []
    while not writing.done():
        seen.append(await store.get("k"))
        await asyncio.sleep(0)
    await writing
    assert seen
    assert [entry for entry in seen if entry not in versions] == []


async def test_delete_forgets_one(store: ResponseStore) -> None:
    await store.put(make_entry("a"))
    await store.put(make_entry("b"))
    assert await store.delete("a") is True
    assert await store.delete("a") is False
    assert await store.get("a") is None
    assert await store.get("b") is not None


async def test_what_was_deleted_can_be_put_again_however_old(store: ResponseStore) -> None:
    await store.put(make_entry(stored_at=9.0))
    await store.delete("k")
    await store.put(make_entry(stored_at=1.0))
    assert await store.get("k") == make_entry(stored_at=1.0)


async def test_clear_forgets_everything(store: ResponseStore) -> None:
    for key in "abc":
        await store.put(make_entry(key))
    assert await store.clear() == 3
    assert await store.get("a") is None
    assert await store.stats() == StoreStats(0, 0)


async def test_prune_forgets_what_was_stored_before(store: ResponseStore) -> None:
    for moment in range(5):
        await store.put(make_entry(f"k{moment}", stored_at=float(moment)))
    assert await store.prune(3.0) == 3
    assert await store.get("k2") is None
    assert await store.get("k3") == make_entry("k3", stored_at=3.0)
    assert await store.prune(3.0) == 0


async def test_a_store_that_let_go_of_its_server_finds_it_again(store: ResponseStore) -> None:
    await store.put(make_entry())
    for _ in range(3):
        store.disconnect()
        store.disconnect()
        assert await store.get("k") == make_entry()


async def test_ping_returns(store: ResponseStore) -> None:
    await store.ping()


async def test_stats_count_entries_and_bodies(durable: ResponseStore) -> None:
    await durable.put(make_entry("a", body=b"12345"))
    await durable.put(make_entry("b", body=b"123"))
    await durable.put(make_entry("b", body=b"1234"))
    assert await durable.stats() == StoreStats(2, 9)


async def test_entries_survive_a_reopening(engine: Engine) -> None:
    first = engine.open()
    await first.put(make_entry(body=bytes(range(256))))
    await first.aclose()
    second = engine.open()
    assert await second.get("k") == make_entry(body=bytes(range(256)))
    await second.aclose()


async def test_two_stores_over_one_place_agree(engine: Engine) -> None:
    one, other = engine.open(), engine.open()
    await asyncio.gather(one.put(make_entry("a")), other.put(make_entry("b")))
    await other.put(make_entry("a", stored_at=1.0))
    assert await one.get("b") == make_entry("b")
    assert await other.get("a") == make_entry("a")
    await asyncio.gather(one.aclose(), other.aclose())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("body", b'{"players":[]'),
        ("body", "text"),
        ("status", "many"),
        ("target", b"\xff\xfe"),
        ("stored_at", "yesterday"),
        ("checksum", 1),
    ],
)
async def test_a_damaged_record_reads_as_absent_and_gives_way(
    engine: Engine, durable: ResponseStore, field: str, value: Any
) -> None:
    await durable.put(make_entry())
    engine.damage("k", field, value)
    assert await durable.get("k") is None
    await durable.put(make_entry())
    assert await durable.get("k") == make_entry()


async def test_closing_twice_is_fine_and_final(engine: Engine) -> None:
    store = engine.open()
    await store.put(make_entry())
    await store.aclose()
    await store.aclose()
    for call in _every_call(store):
        with pytest.raises(StoreUnavailable, match="closed"):
            await call()


async def test_closing_an_unused_store_touches_nothing(engine: Engine) -> None:
    await engine.unreachable().aclose()


async def test_without_its_engine_every_call_is_unavailable(engine: Engine) -> None:
    store = engine.unreachable()
    for call in _every_call(store):
        with pytest.raises(StoreUnavailable):
            await call()
    await store.aclose()


def _every_call(store: ResponseStore) -> list[Callable[[], Awaitable[Any]]]:
    return [
        lambda: store.get("k"),
        lambda: store.put(make_entry()),
        lambda: store.delete("k"),
        store.clear,
        lambda: store.prune(2e9),
        store.stats,
        store.ping,
    ]

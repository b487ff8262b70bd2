"""The MongoDB store against a real server that crashes and hangs, and what the driver raises."""

from __future__ import annotations

import asyncio
import logging
import socket
import traceback
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pymongo.errors
import pytest
from pymongo import MongoClient
from structlog.testing import capture_logs

from app.cache.mongo import MAX_BODY, MongoStore
from app.errors import StoreError, StoreUnavailable
from tests.cache.conftest import make_entry
from tests.cache.doubles import Clock
from tests.real.mongodb import MongoServer
from tests.waiting import until

real = pytest.mark.real("mongodb")


@asynccontextmanager
async def opened(uri: str, database: str, limit: float = 20.0) -> AsyncIterator[MongoStore]:
    store = MongoStore(uri, database, timeout=limit)
    try:
        yield store
    finally:
        await store.aclose()


@pytest.fixture
async def impatient(mongo_server: MongoServer, mongo_database: str) -> AsyncIterator[MongoStore]:
    """A store that gives up after half a second, with one entry in it."""
    async with opened(mongo_server.uri, mongo_database) as patient:
        await patient.put(make_entry())
    async with opened(mongo_server.uri, mongo_database, limit=0.5) as store:
        yield store


def nobody() -> str:
    """An address where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


async def until_it_works(call: Callable[[], Any], seconds: float = 20.0) -> Any:
    async with asyncio.timeout(seconds):
        while True:
            try:
                return await call()
            except StoreUnavailable:  # took its time limit: no busy loop
                continue


async def test_the_password_is_in_no_log_and_no_message(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    uri = f"mongodb://ada:s3cret@{nobody()}/?authSource=admin"
    with capture_logs() as logs:
        async with opened(uri, "estfor", limit=0.2) as store:
            with pytest.raises(StoreUnavailable) as refused:
                await store.put(make_entry())
    shown = (
        "".join(traceback.format_exception(refused.value)) + repr(store) + repr(vars(store._link))
    )
    assert caplog.records  # the driver does talk at this level
    assert "s3cret" not in shown + caplog.text + repr(logs)


@real
async def test_a_login_that_is_refused_says_so(
    mongo_server: MongoServer, mongo_database: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    address = mongo_server.uri.removeprefix("mongodb://").rpartition("@")[2]
    uri = f"mongodb://ada:s3cret@{address}"
    async with opened(uri, mongo_database) as store:
        with pytest.raises(StoreUnavailable, match="check user and password") as refused:
            await store.ping()
    assert "s3cret" not in "".join(traceback.format_exception(refused.value)) + caplog.text


async def test_nothing_is_sent_before_the_first_call() -> None:
    visitors = []

    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        visitors.append(writer.get_extra_info("peername"))
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, opened(f"mongodb://127.0.0.1:{port}", "estfor", limit=0.2) as store:
        # A client that connects in the background would have been first at this door.
        reader, _ = writer = await asyncio.open_connection("127.0.0.1", port)
        await reader.read()
        writer[1].close()
        assert len(visitors) == 1
        with pytest.raises(StoreUnavailable):
            await store.ping()
        assert len(visitors) > 1


async def test_a_sleeping_server_makes_no_noise(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with capture_logs() as logs:
        async with opened(f"mongodb://{nobody()}", "estfor", limit=0.2) as store:
            for _ in range(3):
                with pytest.raises(StoreUnavailable):
                    await store.get("k")
    assert [record for record in caplog.records if record.levelno >= logging.INFO] == []
    assert logs == []
    assert capfd.readouterr() == ("", "")


async def test_a_walk_over_everything_waits_no_longer_for_a_sleeping_server() -> None:
    async with opened(f"mongodb://{nobody()}", "estfor", limit=0.1) as store:
        for call in (store.stats(), store.prune(1.0), store.clear()):
            with pytest.raises(StoreUnavailable, match=r"within 0\.1 s"):
                await call


@real
async def test_an_entry_too_large_is_refused_with_its_size(
    mongo_server: MongoServer, mongo_database: str
) -> None:
    async with opened(mongo_server.uri, mongo_database) as store:
        with pytest.raises(StoreError, match=r"an answer of 15\.2 MB .* \(15 MB\)") as refused:
            await store.put(make_entry(body=bytes(15_200_000)))
        assert not isinstance(refused.value, StoreUnavailable)
        await store.put(make_entry(body=bytes(MAX_BODY), target="GET /" + "x" * 16_384))
        found = await store.get("k")
        assert found is not None
        assert len(found.body) == MAX_BODY


@real
async def test_an_entry_that_cannot_be_written_down_is_refused(
    mongo_server: MongoServer, mongo_database: str
) -> None:
    async with opened(mongo_server.uri, mongo_database) as store:
        for changes in ({"target": "\ud800"}, {"status": 2**70}):
            with pytest.raises(StoreError) as refused:
                await store.put(make_entry(**changes))
            assert not isinstance(refused.value, StoreUnavailable)
        await store.put(make_entry())


@real
async def test_the_later_of_two_that_make_a_document_at_once_wins(
    mongo_server: MongoServer, mongo_database: str
) -> None:
    async with (
        opened(mongo_server.uri, mongo_database) as one,
        opened(mongo_server.uri, mongo_database) as other,
    ):
        await asyncio.gather(one.put(make_entry("warm")), other.put(make_entry("up")))
        for number in range(30):
            early = make_entry(f"k{number}", stored_at=1.0)
            late = make_entry(f"k{number}", stored_at=2.0)
            await asyncio.gather(one.put(early), other.put(late))
            assert await one.get(f"k{number}") == late


@real
async def test_documents_are_found_by_age(mongo_server: MongoServer, mongo_database: str) -> None:
    async with opened(mongo_server.uri, mongo_database) as store:
        await asyncio.gather(*(store.put(make_entry(f"k{number}")) for number in range(5)))
    with MongoClient[dict[str, Any]](mongo_server.uri) as client:
        indexes = client[mongo_database].responses.index_information()
    assert [index["key"] for index in indexes.values()] == [[("_id", 1)], [("stored_at", 1)]]


@real
async def test_a_document_that_lacks_everything_reads_as_absent_and_gives_way(
    mongo_server: MongoServer, mongo_database: str
) -> None:
    with MongoClient[dict[str, Any]](mongo_server.uri) as client:
        client[mongo_database].responses.insert_one({"_id": "k"})
    async with opened(mongo_server.uri, mongo_database) as store:
        with capture_logs() as logs:
            assert await store.get("k") is None
        assert [(line["log_level"], line["key"]) for line in logs] == [("warning", "k")]
        await store.put(make_entry())
        assert await store.get("k") == make_entry()


@real
async def test_it_works_again_after_a_crash_of_the_server(
    mongo_server: MongoServer, impatient: MongoStore
) -> None:
    assert await impatient.get("k") == make_entry()
    mongo_server.kill()
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            await impatient.get("k")
        with pytest.raises(StoreUnavailable):
            await impatient.ping()
    await asyncio.to_thread(mongo_server.start)
    assert await until_it_works(lambda: impatient.get("k")) == make_entry()
    await until_it_works(lambda: impatient.put(make_entry("after")))
    assert await until_it_works(lambda: impatient.get("after")) == make_entry("after")


@real
async def test_a_server_that_was_woken_is_not_waited_for(
    mongo_server: MongoServer, impatient: MongoStore
) -> None:
    assert await impatient.get("k") == make_entry()
    first = impatient._link._client
    mongo_server.kill()
    with pytest.raises(StoreUnavailable):
        await impatient.get("k")
    assert not first.topology_description.has_readable_server()
    await asyncio.to_thread(mongo_server.start)
    assert await until_it_works(lambda: impatient.get("k")) == make_entry()
    assert impatient._link._client is not first, "the driver would look again in half a second"


@real
async def test_another_run_of_the_server_is_asked_by_another_client(
    mongo_server: MongoServer, impatient: MongoStore
) -> None:
    assert await impatient.get("k") == make_entry()
    first = impatient._link._client
    mongo_server.kill()
    await asyncio.to_thread(mongo_server.start)
    impatient.disconnect()
    assert await impatient.get("k") == make_entry()
    assert impatient._link._client is not first
    await until(lambda: not impatient._link._under_way)
    with pytest.raises(pymongo.errors.InvalidOperation, match="after close"):
        await first.admin.command("hello")


@real
async def test_who_asks_while_the_store_disconnects_is_answered(
    mongo_server: MongoServer, mongo_database: str
) -> None:
    async with opened(mongo_server.uri, mongo_database) as store:
        await store.put(make_entry())
        asking = [asyncio.create_task(store.get("k")) for _ in range(20)]
        await asyncio.sleep(0)
        store.disconnect()
        assert await asyncio.gather(*asking) == [make_entry()] * 20


async def test_there_is_nothing_to_let_go_of_before_the_first_call_and_after_the_last() -> None:
    async with opened("mongodb://127.0.0.1:9", "d", limit=0.2) as store:
        first = store._link._client
        store.disconnect()
        assert store._link._client is first
        with pytest.raises(StoreUnavailable):
            await store.ping()
        await store.aclose()
        store.disconnect()
        assert store._link._client is first


async def test_who_waits_with_a_client_that_is_replaced_is_told_the_usual() -> None:
    clock = Clock()
    store = MongoStore("mongodb://127.0.0.1:9", "d", timeout=0.6, clock=clock)
    first = store._link._client
    waiting = asyncio.create_task(store.get("k"))
    await until(
        lambda: any(
            server.error for server in first.topology_description.server_descriptions().values()
        )
    )
    clock.now += 1.0
    with pytest.raises(StoreUnavailable):
        await store.get("k")
    assert store._link._client is not first
    with pytest.raises(StoreUnavailable):
        await waiting
    await store.aclose()


@real
async def test_a_server_that_hangs_costs_no_more_than_the_limit(
    mongo_server: MongoServer, impatient: MongoStore
) -> None:
    assert await impatient.get("k") == make_entry()
    mongo_server.pause()
    async with asyncio.timeout(20.0):
        for call in (impatient.get("k"), impatient.put(make_entry("b")), impatient.stats()):
            with pytest.raises(StoreUnavailable, match="no answer within"):
                await call
        while impatient._link._under_way:  # the driver has to end by itself, too
            await asyncio.sleep(0.01)
    mongo_server.resume()
    assert await until_it_works(lambda: impatient.get("k")) == make_entry()


@real
async def test_it_closes_in_time_while_the_server_hangs(
    mongo_server: MongoServer, impatient: MongoStore
) -> None:
    assert await impatient.get("k") == make_entry()
    mongo_server.pause()
    with capture_logs() as logs:
        async with asyncio.timeout(20.0):
            await impatient.aclose()
    assert logs == []


@real
async def test_a_call_that_was_given_up_disturbs_no_other(
    mongo_server: MongoServer, mongo_database: str
) -> None:
    async with opened(mongo_server.uri, mongo_database) as store:
        await store.put(make_entry())
        for wait in range(20):
            calls = [
                asyncio.create_task(store.put(make_entry("b"))),
                asyncio.create_task(store.get("k")),
            ]
            for _ in range(wait):
                await asyncio.sleep(0)
            for call in calls:
                call.cancel()
            await asyncio.gather(*calls, return_exceptions=True)
        await store.put(make_entry("c"))
        assert await store.get("c") == make_entry("c")
        assert await store.get("k") == make_entry()

"""What the driver raises, and what a MongoDB that is asleep may cost."""

from __future__ import annotations

import asyncio
import socket
import traceback
from typing import Any

import bson.errors
import pymongo.errors
import pytest

from app.errors import StoreError, StoreUnavailable
from app.storage.mongo_link import Database, MongoLink, translate
from tests.real.mongodb import MongoServer, mongo_database, mongo_server
from tests.waiting import until

__all__ = ["mongo_database", "mongo_server"]

real = pytest.mark.real("mongodb")


UNAVAILABLE = {
    "AutoReconnect",
    "ConfigurationError",
    "ConnectionFailure",
    "ExecutionTimeout",
    "InvalidURI",
    "NetworkTimeout",
    "NotPrimaryError",
    "ServerSelectionTimeoutError",
    "WTimeoutError",
    "WaitQueueTimeoutError",
    "_CertificateError",
    "_OperationCancelled",
}
REFUSED = {
    "BSONError",
    "BulkWriteError",
    "ClientBulkWriteException",
    "CollectionInvalid",
    "CursorNotFound",
    "DocumentTooLarge",
    "DuplicateKeyError",
    "EncryptedCollectionError",
    "EncryptionError",
    "InvalidBSON",
    "InvalidDocument",
    "InvalidId",
    "InvalidName",
    "InvalidOperation",
    "InvalidStringData",
    "OperationFailure",
    "ProtocolError",
    "PyMongoError",
    "WriteConcernError",
    "WriteError",
}
SPECIAL: dict[str, tuple[Any, ...]] = {
    "BulkWriteError": ({"writeErrors": []},),
    "ClientBulkWriteException": ({"error": None}, False),
    "EncryptionError": (ValueError("s3cret"),),
    "EncryptedCollectionError": (ValueError("s3cret"), {}),
}


def raised_by_the_driver() -> dict[str, type[Exception]]:
    return {
        name: value
        for module in (pymongo.errors, bson.errors)
        for name, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, Exception)
    }


def test_every_error_of_the_driver_is_known() -> None:
    assert set(raised_by_the_driver()) == UNAVAILABLE | REFUSED


@pytest.mark.parametrize("name", sorted(UNAVAILABLE | REFUSED))
def test_every_error_of_the_driver_is_translated(name: str) -> None:
    error = raised_by_the_driver()[name](*SPECIAL.get(name, ("s3cret",)))
    translated = translate(error, 2.0)
    assert type(translated) is (StoreUnavailable if name in UNAVAILABLE else StoreError)
    assert type(error).__name__ in str(translated)
    assert "s3cret" not in str(translated)


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (pymongo.errors.OperationFailure("no", 13), "check user and password"),
        (pymongo.errors.OperationFailure("no", 18), "check user and password"),
        (pymongo.errors.OperationFailure("slow", 50), "no answer within 2 s"),
        (pymongo.errors.ServerSelectionTimeoutError("no"), "no answer within 2 s"),
        (pymongo.errors.ConfigurationError("no such name"), "check MONGODB_URI"),
        (TimeoutError(), "no answer within 2 s"),
        (ConnectionResetError(), "no answer within 2 s"),
    ],
)
def test_what_makes_the_store_unavailable_says_what_to_do(error: Exception, says: str) -> None:
    translated = translate(error, 2.0)
    assert isinstance(translated, StoreUnavailable)
    assert says in str(translated)


def test_a_refusal_says_the_code() -> None:
    refused = translate(pymongo.errors.OperationFailure("quota", 14031), 2.0)
    assert type(refused) is StoreError
    assert "OperationFailure, code 14031" in str(refused)


@pytest.mark.parametrize(
    "uri",
    [
        "mongodb://ada:s3cret@host:s3cret",
        "mongodb://ada:s3cret@s3cret@host/",
        "mongodb://ada:s3cret/s3cret@host",
        "mongodb://ada:%s3cret@host",
        "mongodb://ada:s3cret@",
        "mongodb://ada:s3cret@host/?authMechanism=s3cret",
        "mongodb://ada:s3cret@host/?tls=s3cret",
        "postgres://ada:s3cret@host",
    ],
)
def test_a_uri_that_makes_no_sense_is_not_quoted(uri: str) -> None:
    with pytest.raises(StoreUnavailable, match="MONGODB_URI makes no sense") as refused:
        MongoLink(uri, "estfor")
    assert "s3cret" not in "".join(traceback.format_exception(refused.value))
    assert "ada" not in str(refused.value)


def nobody() -> str:
    """An address where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"mongodb://127.0.0.1:{probe.getsockname()[1]}"


async def test_a_server_that_is_not_there_costs_the_share_that_was_asked_for() -> None:
    link = MongoLink(nobody(), "estfor", timeout=0.1)
    for share, says in ((1, r"within 0\.1 s"), (2, r"within 0\.2 s")):
        with pytest.raises(StoreUnavailable, match=says):
            await link.ask(lambda database: database.notes.find_one({}), share)
    with pytest.raises(StoreUnavailable, match="no answer"):
        await link.ping("notes")
    await link.aclose()


async def test_a_question_that_fails_with_an_error_of_ours_is_not_translated() -> None:
    async def wonder(database: Database) -> None:
        raise StoreError(f"nothing is known of {database.name}")

    link = MongoLink(nobody(), "estfor", timeout=5.0)
    with pytest.raises(StoreError, match="nothing is known of estfor"):
        await link.ask(wonder)
    await link.aclose()


@real
async def test_a_question_goes_on_when_the_one_who_asked_has_gone(
    mongo_server: MongoServer, mongo_database: str
) -> None:
    link = MongoLink(mongo_server.uri, mongo_database, timeout=20.0)
    asked, may_go_on, done = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def write(database: Database) -> None:
        asked.set()
        await may_go_on.wait()
        await database.notes.insert_one({"_id": "k"})
        done.set()

    asking = asyncio.create_task(link.ask(write))
    await asked.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    may_go_on.set()
    await until(done.is_set)
    assert await link.ask(lambda database: database.notes.find_one({})) == {"_id": "k"}
    await link.aclose()


async def test_closing_twice_is_fine_and_final() -> None:
    link = MongoLink(nobody(), "estfor", timeout=0.1)
    await link.aclose()
    await link.aclose()
    with pytest.raises(StoreUnavailable, match="closed"):
        await link.ping("notes")

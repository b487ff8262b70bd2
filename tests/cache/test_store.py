"""A record tells whether it is what was written."""

from __future__ import annotations

import math
from typing import Any

import pytest

from app.cache.store import ENTRY_FIELDS, entry_of, record_of
from tests.cache.conftest import make_entry


def test_an_entry_comes_back_from_its_record() -> None:
    entry = make_entry(body=bytes(range(256)))
    assert entry_of(record_of(entry)) == entry


def test_whole_seconds_come_back_from_an_engine_that_knows_only_floats() -> None:
    record = record_of(make_entry(stored_at=1_750_000_000, fetch_seconds=1))
    floats = {name: float(record[name]) for name in ("stored_at", "fetch_seconds")}
    assert entry_of(record | floats) == make_entry(stored_at=1_750_000_000, fetch_seconds=1)


def test_fields_of_the_engine_are_ignored() -> None:
    assert entry_of(record_of(make_entry()) | {"_id": 1, "size": 2}) == make_entry()


@pytest.mark.parametrize("name", [*ENTRY_FIELDS, "checksum"])
def test_a_record_without_a_field_is_damaged(name: str) -> None:
    record = record_of(make_entry())
    del record[name]
    assert entry_of(record) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("key", "another"),
        ("target", "GET /players?name=adb"),
        ("status", 201),
        ("status", "200"),
        ("content_type", None),
        ("body", b'{"players":[}]'),
        ("body", '{"players":[]}'),
        ("body", None),
        ("etag", '"0123456789abcdeF"'),
        ("stored_at", 1_750_000_000.123457),
        ("stored_at", "yesterday"),
        ("stored_at", math.nan),
        ("fetch_seconds", None),
        ("checksum", 0),
        ("checksum", None),
    ],
)
def test_a_record_with_another_value_is_damaged(name: str, value: Any) -> None:
    assert entry_of(record_of(make_entry()) | {name: value}) is None

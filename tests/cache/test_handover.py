"""An answer as bytes for another process: what is packed is what is unpacked, or nothing is."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.cache.handover import LARGEST, pack, unpack
from app.cache.store import Entry
from app.errors import UpstreamError, UpstreamTimeout


def entry(body: bytes = b'{"players":[]}', status: int = 200) -> Entry:
    return Entry("k" * 32, "GET /players", status, "application/json", body, '"t"', 1.5, 0.25)


@given(st.binary(max_size=5_000), st.sampled_from([200, 404, 422, 500]))
def test_an_answer_arrives_as_it_was(body: bytes, status: int) -> None:
    packed = pack(entry(body, status))
    assert packed is not None
    assert unpack(packed) == entry(body, status)


@pytest.mark.parametrize("wait", [None, 2.5])
def test_a_failure_arrives_with_its_words(wait: float | None) -> None:
    packed = pack(UpstreamTimeout("too slow\nreally", retry_after=wait))
    assert packed is not None
    error = unpack(packed)
    assert isinstance(error, UpstreamError)
    assert (error.detail, error.retry_after) == ("too slow\nreally", wait)


def test_what_is_too_large_is_not_packed() -> None:
    noise = random.Random(1).randbytes(LARGEST)
    assert pack(entry(noise)) is None
    assert pack(entry(b"a" * LARGEST * 2)) is not None


@given(st.binary(max_size=300))
def test_anything_else_is_no_answer(text: bytes) -> None:
    try:
        unpack(text)
    except ValueError:
        return
    raise AssertionError("taken for an answer")


@given(st.data())
def test_damage_is_noticed(data: st.DataObject) -> None:
    packed = pack(entry(b'{"players":[1,2,3]}'))
    assert packed is not None
    place = data.draw(st.integers(0, len(packed) - 1))
    flipped = packed[:place] + bytes([packed[place] ^ data.draw(st.integers(1, 255))])
    damaged = flipped + packed[place + 1 :]
    try:
        found = unpack(damaged)
    except ValueError:
        return
    assert found == entry(b'{"players":[1,2,3]}'), "taken for another answer"


@pytest.mark.parametrize(
    "text", [b"1\n", b"[]\n", b'"error"\n', b"null\n", b'{"error":1}', b"{}\n"]
)
def test_json_of_another_shape(text: bytes) -> None:
    try:
        assert isinstance(unpack(text), UpstreamError)
    except ValueError:
        assert text != b'{"error":1}'

"""Which encoding a client gets, and that it gets its body back."""

from __future__ import annotations

import gzip

import brotli
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from app.cache.encoding import Encoding, encode, negotiate, tag_of


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", None),
        ("identity", None),
        ("gzip", Encoding.GZIP),
        ("GZIP", Encoding.GZIP),
        ("gzip, deflate, br, zstd", Encoding.ZSTD),
        ("gzip, deflate, br", Encoding.BROTLI),
        ("gzip;q=0.9, br;q=0.5", Encoding.GZIP),
        ("gzip;q=0", None),
        ("*", Encoding.ZSTD),
        ("*;q=0.5, gzip", Encoding.GZIP),
        ("zstd;q=0, *", Encoding.BROTLI),
        ("identity, gzip;q=0.5", None),
        ("identity;q=0.5, gzip;q=0.5", Encoding.GZIP),
        ("identity;q=0", None),
        ("*;q=0", None),
        ("deflate", None),
        ("gzip;q=x, br", Encoding.BROTLI),
        ("gzip;q=7", None),
        (";;,,q=", None),
    ],
)
def test_what_the_client_likes_best_counts(accept: str, expected: Encoding | None) -> None:
    assert negotiate(accept) is expected


@given(st.text(max_size=60))
def test_any_field_gives_an_answer(accept: str) -> None:
    assert negotiate(accept) in {None, *Encoding}


@given(st.binary(max_size=5000))
def test_every_encoding_gives_the_body_back_and_is_the_same_each_time(body: bytes) -> None:
    decoders = {
        Encoding.ZSTD: lambda made: zstandard.ZstdDecompressor().decompress(made),
        Encoding.BROTLI: brotli.decompress,
        Encoding.GZIP: gzip.decompress,
    }
    for encoding in Encoding:
        made = encode(body, encoding)
        assert decoders[encoding](made) == body
        assert encode(body, encoding) == made


def test_each_encoding_has_a_strong_tag_of_its_own() -> None:
    tags = {tag_of('"abc"', encoding) for encoding in (None, *Encoding)}
    assert tags == {'"abc"', '"abc-zstd"', '"abc-br"', '"abc-gzip"'}

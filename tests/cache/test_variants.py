"""Encoded bodies are made once and kept within bounds."""

from __future__ import annotations

import asyncio
import gzip
import random
from dataclasses import replace

import pytest

from app.cache import variants
from app.cache.encoding import Encoding, encode
from app.cache.store import Entry
from app.cache.variants import Variants

ENTRY = Entry("k", "GET /a", 200, "application/json", b"{}" * 2000, '"e"', 0.0, 0.1)
LARGE = replace(ENTRY, body=b'{"id":"1"},' * 20_000)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Encoding]:
    """The encodings that were made, in order."""
    order: list[Encoding] = []

    def counting(body: bytes, encoding: Encoding) -> bytes:
        order.append(encoding)
        return encode(body, encoding)

    monkeypatch.setattr(variants, "encode", counting)
    return order


@pytest.mark.parametrize("entry", [ENTRY, LARGE])
async def test_a_variant_is_made_once_for_any_number_of_askers(
    entry: Entry, made: list[Encoding]
) -> None:
    kept = Variants(1_000_000)
    bodies = await asyncio.gather(*(kept.of(entry, Encoding.GZIP) for _ in range(50)))
    assert {gzip.decompress(body or b"") for body in bodies} == {entry.body}
    assert await kept.of(entry, Encoding.GZIP) == bodies[0]
    assert made == [Encoding.GZIP]
    await kept.aclose()


async def test_small_bodies_and_identity_cost_nothing(made: list[Encoding]) -> None:
    kept = Variants(1_000_000)
    assert await kept.of(replace(ENTRY, body=b"x" * 1000), Encoding.GZIP) is None
    assert await kept.of(ENTRY, None) is None
    assert (made, kept.size) == ([], 0)


async def test_what_gains_nothing_is_tried_once(made: list[Encoding]) -> None:
    noise = replace(ENTRY, body=random.Random(1).randbytes(5000))
    kept = Variants(1_000_000)
    for _ in range(3):
        assert await kept.of(noise, Encoding.BROTLI) is None
    assert made == [Encoding.BROTLI]


async def test_a_new_body_never_meets_an_old_variant() -> None:
    kept = Variants(1_000_000)
    await kept.of(ENTRY, Encoding.GZIP)
    newer = replace(ENTRY, body=b"[]" * 3000, etag='"f"')
    assert gzip.decompress(await kept.of(newer, Encoding.GZIP) or b"") == newer.body


async def test_variants_of_what_nobody_wants_are_given_and_not_kept() -> None:
    kept = Variants(1_000_000, wanted=lambda entry: entry.key == "wanted")
    for name in ("wanted", "scanned"):
        entry = replace(ENTRY, key=name)
        assert gzip.decompress(await kept.of(entry, Encoding.GZIP) or b"") == ENTRY.body
        assert kept.is_made(entry, Encoding.GZIP) is (name == "wanted")


async def test_they_stay_within_their_bound(made: list[Encoding]) -> None:
    kept = Variants(2_000)
    for number in range(100):
        await kept.of(replace(ENTRY, key=str(number)), Encoding.GZIP)
    assert kept.size <= 2_000
    noisy = replace(LARGE, body=random.Random(1).randbytes(4000) * 2)
    assert await kept.of(noisy, Encoding.ZSTD) is not None
    assert kept.size <= 2_000

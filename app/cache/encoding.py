"""Content encodings: which one a client gets, and what it does to a body and its tag. PURE."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Mapping
from enum import StrEnum
from functools import lru_cache
from hashlib import blake2b

import brotli
import zstandard

WORTH_IT = 1024
"""Bodies below so many bytes are sent as they are: they fit into one packet either way."""
_ZSTD_LEVEL, _BROTLI_QUALITY, _GZIP_LEVEL = 3, 5, 6
"""By measurement the levels after which a smaller body costs many times the work."""


class Encoding(StrEnum):
    """What we can encode as, the one we like best first."""

    ZSTD = "zstd"
    BROTLI = "br"
    GZIP = "gzip"


def _zstd(body: bytes) -> bytes:
    return zstandard.ZstdCompressor(_ZSTD_LEVEL).compress(body)


def _brotli(body: bytes) -> bytes:
    return bytes(brotli.compress(body, mode=brotli.MODE_TEXT, quality=_BROTLI_QUALITY))


def _gzip(body: bytes) -> bytes:
    # No time in it: the same body must give the same bytes, for its tag is strong.
    return gzip.compress(body, _GZIP_LEVEL, mtime=0)


_ENCODERS: Mapping[Encoding, Callable[[bytes], bytes]] = {
    Encoding.ZSTD: _zstd,
    Encoding.BROTLI: _brotli,
    Encoding.GZIP: _gzip,
}


def encode(body: bytes, encoding: Encoding) -> bytes:
    """``body`` in that encoding; the same bytes for the same body."""
    return _ENCODERS[encoding](body)


def tag_body(body: bytes) -> str:
    """The strong tag of a body's identity."""
    return f'"{blake2b(body, digest_size=16).hexdigest()}"'


def tag_of(etag: str, encoding: Encoding | None) -> str:
    """The strong tag of a body whose identity has ``etag``, in that encoding."""
    return etag if encoding is None else f'{etag[:-1]}-{encoding}"'


@lru_cache(maxsize=1024)
def negotiate(accept_encoding: str) -> Encoding | None:
    """The encoding for a client that sent this ``Accept-Encoding``; ``None`` is identity.

    What it likes best counts (RFC 9110 §12.5.3), and between equals what we like best. Identity
    is always a way out, also for those who say that they will not have it. Fields that make no
    sense mean identity.
    """
    likes = _likes(accept_encoding)
    anything = likes.get("*", 0.0)
    offers = [(likes.get(encoding, anything), encoding) for encoding in Encoding]
    best = max(quality for quality, _ in offers)
    if best <= 0 or best < likes.get("identity", 0.0):
        return None
    return next(encoding for quality, encoding in offers if quality == best)


def _likes(accept_encoding: str) -> dict[str, float]:
    likes: dict[str, float] = {}
    for part in accept_encoding.lower().split(","):
        name, _, parameter = part.partition(";")
        weight = parameter.strip().removeprefix("q=") if parameter.strip() else "1"
        try:
            quality = float(weight)
        except ValueError:
            continue
        if 0 <= quality <= 1:
            likes[name.strip()] = quality
    return likes

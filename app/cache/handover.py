"""An answer, or that there was none, as bytes for another process. PURE."""

from __future__ import annotations

from typing import Any

import orjson
import zstandard

from app.cache.store import Entry, entry_of, record_of
from app.errors import UpstreamError

LARGEST = 2_000_000
"""Bytes, packed: more than that is not handed on, each process fetches it for itself."""
_LARGEST_BODY = 64_000_000
_LEVEL = 1


def pack(result: Entry | UpstreamError) -> bytes | None:
    """``result`` for ``unpack``: a line of JSON, then the body; ``None`` if that is too large."""
    if isinstance(result, UpstreamError):
        return orjson.dumps({"error": result.detail, "retry_after": result.retry_after}) + b"\n"
    record = record_of(result)
    body = zstandard.ZstdCompressor(_LEVEL).compress(record.pop("body"))
    packed = orjson.dumps(record) + b"\n" + body
    return packed if len(packed) <= LARGEST else None


def unpack(packed: bytes) -> Entry | UpstreamError:
    """What ``pack`` was given. Raises ``ValueError`` for anything else."""
    head, _, body = packed.partition(b"\n")
    record: Any = orjson.loads(head)
    try:
        if "error" in record:
            wait = _seconds(record.get("retry_after"))
            return UpstreamError(str(record["error"]), retry_after=wait)
        plain = _decompress(body)
        entry = entry_of(record | {"body": plain})
    except (TypeError, AttributeError, zstandard.ZstdError) as error:
        raise ValueError("no packed answer") from error
    if entry is None:
        raise ValueError("a packed answer that was damaged")
    return entry


def _decompress(body: bytes) -> bytes:
    # What the frame says of its size is believed by the library, which takes as much memory.
    if not 0 <= zstandard.frame_content_size(body) <= _LARGEST_BODY:
        raise ValueError("no packed answer, or a damaged one")
    return zstandard.ZstdDecompressor().decompress(body)


def _seconds(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None

"""A body, read and decoded within limits. Knows no client: chunks in, bytes out.

Bodies are kept and served as identity JSON, but asked for with gzip: the tables of this API
shrink to a tenth, which spares the upstream and the line, and gzip's own checksum proves that
the body is whole. A body of a few kilobytes may claim to be gigabytes, hence the limits.
"""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack

from app.upstream.lie import Lie

SMALL = 1_000_000
"""Bytes; all but the largest pages of this API are smaller."""
_PIECE = 256 * 1024
_FREE_OF_RATIO = 1024 * 1024
_HIGHEST_RATIO = 300
"""Tables of equal rows reach 50; deflate cannot do more than about 1030."""


async def read_body(
    chunks: AsyncIterable[bytes],
    encoding: str,
    limit: int,
    large: AbstractAsyncContextManager[object],
) -> bytes:
    """All of ``chunks``, decoded from ``encoding`` (a ``Content-Encoding``; "" is identity).

    Raises ``Lie`` as soon as more than ``limit`` bytes have come, before or after
    decoding: whatever lengths were announced, no more than that is held. ``large`` is entered
    before more than ``SMALL`` bytes are held, so that not all calls can hold as much at once.
    """
    coding = encoding.strip().lower()
    if coding not in {"", "identity", "gzip", "x-gzip"}:
        raise Lie("encoding", f"encoded as {coding[:40]!r}, which nobody asked for")
    inflater = Inflater(limit) if "gzip" in coding else None
    pieces: list[bytes] = []
    taken = held = 0
    async with AsyncExitStack() as turn:
        # An error that is remembered holds on to this frame: it must not hold the pieces too.
        turn.callback(pieces.clear)
        async for chunk in chunks:
            taken += len(chunk)
            if taken > limit:
                raise Lie("too-large", f"larger than {limit} bytes")
            for piece in inflater.feed(chunk) if inflater is not None else (chunk,):
                if held <= SMALL < held + len(piece):
                    await turn.enter_async_context(large)
                pieces.append(piece)
                held += len(piece)
        if inflater is not None:
            inflater.finish()
        return b"".join(pieces)


class Inflater:
    """Decodes one gzip stream. Every failure, limits included, is a ``Lie``."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._stream = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
        self._taken = 0
        self._given = 0

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Decode ``chunk``; yields pieces of bounded size, so that nobody has to hold a bomb."""
        self._taken += len(chunk)
        while True:
            if self._stream.eof:
                if chunk:
                    raise Lie("gzip", "something follows the gzip stream")
                return
            try:
                piece = self._stream.decompress(chunk, _PIECE)
            except zlib.error as error:
                raise Lie("gzip", f"broken gzip: {error}") from error
            self._count(len(piece))
            yield piece
            chunk = self._stream.unused_data or self._stream.unconsumed_tail
            if not chunk and len(piece) < _PIECE:
                return

    def finish(self) -> None:
        """Return if the stream was read to its end, checksum included."""
        if self._taken and not self._stream.eof:
            raise Lie("cut-off", "the gzip stream was cut off")

    def _count(self, size: int) -> None:
        self._given += size
        if self._given > self._limit:
            raise Lie("too-large", f"larger than {self._limit} bytes once decoded")
        if self._given > max(_FREE_OF_RATIO, self._taken * _HIGHEST_RATIO):
            raise Lie("ratio", f"gzip of more than {_HIGHEST_RATIO} to 1")

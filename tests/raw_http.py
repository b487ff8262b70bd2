"""HTTP by the byte, for tests of what no client library sends."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

_STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) [A-Za-z -]*")
_FIELD = re.compile(rb"[a-z0-9-]+: [^\x00-\x08\x0a-\x1f\x7f]*")
_OWN = {
    b"date": rb".+ GMT",
    b"age": rb"\d+",
    b"x-request-id": rb"[0-9a-f]{16}",
    b"server-timing": rb".+",
    b"ratelimit": rb'"default";r=\d+;t=\d+',
    b"retry-after": rb"\d+",
}
"""What such fields hold, where that differs between any two answers."""

_PLAIN = b"text/plain; charset=utf-8"


class Malformed(Exception):
    """Raised for what is no response."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One response: its status line, its fields in their order, and its body."""

    line: bytes
    fields: tuple[tuple[bytes, bytes], ...]
    body: bytes

    @property
    def status(self) -> int:
        return int(self.line.split()[1])

    def field(self, name: str) -> str:
        return dict(self.fields)[name.encode()].decode("latin-1")

    def masked(self) -> Answer:
        """The same for any two answers that should be the same."""
        # Hits are put together elsewhere than other answers: their fields have another order.
        fields = tuple(sorted((name, _masked(name, value)) for name, value in self.fields))
        body = re.sub(rb'"request_id":"[0-9a-f]{16}"', b'"request_id":"..."', self.body)
        return Answer(self.line, fields, body)


def _masked(name: bytes, value: bytes) -> bytes:
    if name in _OWN and re.fullmatch(_OWN[name], value):
        return b"..."
    return re.sub(rb"ttl=-?\d+", b"ttl=...", value) if name == b"cache-status" else value


class Connection:
    """A connection to a server, and what comes back on it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, *pieces: bytes) -> None:
        """Write the pieces, each a packet of its own as far as that can be had."""
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()
            for _ in range(3):
                await asyncio.sleep(0)

    async def ask(self, request: bytes) -> Answer:
        """Send a request and read its answer. Raises ``EOFError`` if there is none."""
        await self.send(request)
        return await self.answer(request.lstrip().split(b" ")[0])

    async def answer(self, method: bytes) -> Answer:
        """The next answer, which is one to a request with that method.

        Raises ``EOFError`` if the server closed instead, ``Malformed`` for anything else.
        """
        try:
            head = await self.reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError as error:
            if error.partial:
                raise Malformed(error.partial) from None
            raise EOFError from None
        line, *rest = head[:-4].split(b"\r\n")
        if not _STATUS.fullmatch(line) or not all(map(_FIELD.fullmatch, rest)):
            raise Malformed(head)
        fields = tuple((name, value) for name, _, value in (one.partition(b": ") for one in rest))
        answer = Answer(line, fields, b"")
        # What uvicorn itself refuses has a body, whatever the method was.
        refused = answer.status == 400 and (b"content-type", _PLAIN) in fields
        if (method == b"HEAD" and not refused) or answer.status in (204, 304):
            return answer
        try:
            body = await self.reader.readexactly(int(dict(fields)[b"content-length"]))
        except (asyncio.IncompleteReadError, KeyError) as error:
            raise Malformed(head) from error
        return Answer(line, fields, body)


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[Connection]:
    """A connection to a server on this machine."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**20)
    try:
        yield Connection(reader, writer)
    finally:
        writer.close()
        try:
            await writer.wait_closed()
        except ConnectionError:
            return  # the server was first


async def converse(
    port: int, steps: Sequence[tuple[Sequence[bytes], Sequence[bytes]]]
) -> list[str]:
    """Say each step's pieces and read an answer for each of its methods, one step after the
    other, until the server closes. What was answered, as text that can be compared.
    """
    told: list[str] = []
    async with connected(port) as connection:
        try:
            for pieces, methods in steps:
                await connection.send(*pieces)
                told += [repr((await connection.answer(one)).masked()) for one in methods]
        except (EOFError, ConnectionError):
            told.append("closed")
    return told

"""One question over HTTP on a connection of its own, of which nothing but the status counts."""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress

CLOSE_SECONDS = 1.0


async def http_status(host: str, port: int, request: bytes, *, tls: bool = False) -> int:
    """The status that ``request`` is answered with. Raises ``OSError``, and ``ValueError`` for
    what is no HTTP.

    Has no deadline of its own. Redirections are answers, and not followed.
    """
    reader, writer = await asyncio.open_connection(host, port, ssl=tls or None)
    try:
        writer.write(request)
        line = await reader.readline()
    finally:
        await hang_up(writer)
    match = re.match(rb"HTTP/\d(?:\.\d)? (\d{3})\b", line)
    if match is None:
        raise ValueError("what answers there does not speak HTTP")
    return int(match.group(1))


async def hang_up(writer: asyncio.StreamWriter) -> None:
    """Close the connection; takes ``CLOSE_SECONDS`` at most."""
    writer.close()
    # The other side may have hung up first: closed is closed.
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(CLOSE_SECONDS):
            await writer.wait_closed()

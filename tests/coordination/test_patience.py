"""A limit that counts turns of the loop, and not only what the clock says."""

from __future__ import annotations

import asyncio
import time

import pytest

from app.coordination.patience import patience


async def test_what_is_in_time_passes() -> None:
    async with patience(5.0):
        await asyncio.sleep(0)


async def test_what_is_never_there_is_given_up() -> None:
    with pytest.raises(TimeoutError):
        async with patience(0.01):
            await asyncio.Event().wait()


async def test_an_answer_that_is_there_when_a_busy_loop_looks_is_not_thrown_away() -> None:
    reader, writer = await pair()
    writer.write(b"here")

    async def answer() -> bytes:
        # Some turns of the loop, as a client takes that parses what it reads.
        first = await reader.readexactly(2)
        await asyncio.sleep(0)
        return first + await reader.readexactly(2)

    asyncio.get_running_loop().call_soon(time.sleep, 0.1)
    async with patience(0.05):
        assert await answer() == b"here"
    writer.close()


async def test_whoever_is_cancelled_is_not_late() -> None:
    async def wait() -> None:
        async with patience(5.0):
            await asyncio.Event().wait()

    waiting = asyncio.create_task(wait())
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def pair() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection to ourselves: what is written comes to be read."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.read(100))
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    connection = await asyncio.open_connection(*server.sockets[0].getsockname()[:2])
    server.close()
    return connection

"""Large answers on the fast way: by files, in both loops, byte for byte."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
import uvloop

from app import body_files
from tests.fast_gateways import BODY, Doors, doors, request
from tests.raw_http import Connection, connected
from tests.waiting import until

PLAIN = request()
SMALL, LARGE, HUGE = (
    BODY[:-2] + b',{"id":"1"}' * rows + b"]}" for rows in (3_000, 20_000, 100_000)
)
LOOPS = pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])


@pytest.fixture
def by_file(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many bytes of each answer went by a file, while it goes on; no file is forgotten."""
    sent: list[int] = []

    def send(file: int, size: int, connection: int) -> int:
        sent.append(body_files.send(file, size, connection))
        return sent[-1]

    monkeypatch.setattr("app.fast_hits.send", send)
    monkeypatch.setattr(body_files, "_SECONDS", 3600.0)
    return sent


@LOOPS
def test_a_large_body_goes_by_a_file_and_arrives_as_it_is(
    run: Callable[..., None], tmp_path: Path, by_file: list[int]
) -> None:
    async def ask_often() -> None:
        async with doors(tmp_path) as opened:
            opened.told.body = LARGE
            await opened.learn(PLAIN)
            async with connected(opened.fast) as connection:
                for number in range(20):
                    assert (await connection.ask(PLAIN)).body == LARGE
                    # One hit was there before, and the fourth is the first that finds a file.
                    assert len(by_file) == max(0, number - 1)

    run(ask_often())
    assert max(by_file) == len(LARGE)


@LOOPS
def test_a_purge_brings_the_new_large_body(
    run: Callable[..., None], tmp_path: Path, by_file: list[int]
) -> None:
    async def ask_and_purge() -> None:
        async with doors(tmp_path) as opened, connected(opened.fast) as connection:
            for number in range(3):
                opened.told.body = LARGE[:-2] + b',{"new":"%d"}]}' % number
                opened.purge("/players")
                before = len(by_file)
                for _ in range(10):
                    assert (await connection.ask(PLAIN)).body == opened.told.body
                assert len(by_file) > before

    run(ask_and_purge())


async def ask_until_it_waits(opened: Doors, connection: Connection) -> int:
    """How many requests were sent, of which no answer is read, until the server does not go on."""

    async def ask() -> None:
        found = opened.memo.found
        connection.writer.write(PLAIN)
        await until(lambda: opened.memo.found > found)

    [*_, protocol] = opened.protocols
    before = opened.memo.found
    while not protocol.flow.write_paused:
        await ask()
    asked = opened.memo.found - before
    connection.writer.write(PLAIN * 10)
    assert protocol.transport.get_write_buffer_size() < 3 * len(HUGE)
    return asked + 10


@LOOPS
def test_who_does_not_read_waits_and_then_gets_everything(
    run: Callable[..., None], tmp_path: Path, by_file: list[int]
) -> None:
    async def ask_without_reading() -> None:
        async with doors(tmp_path) as opened, connected(opened.fast) as connection:
            opened.told.body = HUGE
            for _ in range(6):
                assert (await connection.ask(PLAIN)).body == HUGE
            assert by_file
            async with asyncio.timeout(60):
                while not any(0 < sent < len(HUGE) for sent in by_file):
                    for _ in range(await ask_until_it_waits(opened, connection)):
                        assert (await connection.answer(b"GET")).body == HUGE

    run(ask_without_reading())


@LOOPS
def test_no_body_overtakes_what_waits_to_be_sent(
    run: Callable[..., None], tmp_path: Path, by_file: list[int]
) -> None:
    async def ask_behind_what_waits(opened: Doors, client: socket.socket) -> None:
        await until(lambda: len(opened.protocols) == 2 and opened.protocols[1].transport)
        [_, protocol] = opened.protocols
        asked = 1
        while not protocol.transport.get_write_buffer_size():
            protocol.data_received(PLAIN)
            asked += 1
        assert not protocol.flow.write_paused
        taken = client.recv(2**20)  # so that the kernel has room, and the loop does not know
        protocol.data_received(PLAIN)
        client.setblocking(False)
        async with asyncio.timeout(20):
            while taken.count(SMALL) < asked:
                taken += await asyncio.get_running_loop().sock_recv(client, 2**20)

    async def ask() -> None:
        async with doors(tmp_path) as opened:
            opened.told.body = SMALL
            await opened.learn(PLAIN)
            with socket.create_connection(("127.0.0.1", opened.fast)) as client:
                await ask_behind_what_waits(opened, client)

    run(ask())

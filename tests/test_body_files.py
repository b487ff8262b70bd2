"""Large bodies in files in memory: when there is one, what is in it, and for how long."""

from __future__ import annotations

import os
import resource
import socket
from collections.abc import Iterator

import pytest

from app.body_files import MOST, BodyFiles, send
from tests.waiting import until

BODY = b"0123456789" * 5_000


def content(file: int | None) -> bytes:
    assert file is not None
    return os.pread(file, 1_000_000, 0)


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two connected sockets; the first is one that an event loop would have."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with ours, theirs:
        yield ours, theirs


@pytest.fixture
def large() -> Iterator[tuple[int, bytes]]:
    """A file with more than any socket takes at once, and what is in it."""
    body = os.urandom(16_000_000)
    file = os.memfd_create("large")
    os.pwrite(file, body, 0)
    yield file, body
    os.close(file)


def read(connection: socket.socket, size: int) -> bytes:
    taken = bytearray()
    while len(taken) < size:
        taken += connection.recv(size - len(taken))
    return bytes(taken)


async def test_a_body_that_is_asked_for_often_is_in_a_file() -> None:
    files = BodyFiles()
    assert [files.of(BODY) for _ in range(3)] == [None, None, None]
    file = files.of(BODY)
    assert content(file) == BODY
    assert files.of(BODY) == file
    assert files.size == len(BODY)


async def test_another_body_has_a_file_of_its_own() -> None:
    files, same, other = BodyFiles(), bytes(bytearray(BODY)), BODY[::-1]
    for _ in range(3):
        for body in (BODY, same, other):
            assert files.of(body) is None
    made = [files.of(body) for body in (BODY, same, other)]
    assert len(set(made)) == 3
    assert [content(file) for file in made] == [BODY, same, other]
    assert files.size == 3 * len(BODY)


async def test_after_a_second_nothing_of_it_is_kept() -> None:
    files = BodyFiles()
    [*_, file] = [files.of(BODY) for _ in range(4)]
    assert file is not None
    os.fstat(file)
    await until(lambda: files.size == 0)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(file)
    assert [files.of(BODY) for _ in range(3)] == [None, None, None]
    assert content(files.of(BODY)) == BODY


async def test_what_is_too_much_in_all_is_not_even_looked_at() -> None:
    files = BodyFiles(most_bytes=len(BODY) + 10)
    large, small = bytes(len(BODY) + 11), b"0123456789"
    for _ in range(5):
        files.of(BODY)
        assert files.of(large) is None
        assert files.of(BODY[1:]) is None
        files.of(small)
    assert (files.size, len(files._bodies)) == (len(BODY) + 10, 2)
    assert (content(files.of(BODY)), content(files.of(small))) == (BODY, small)


async def test_no_more_bodies_are_looked_at_than_there_may_be_files() -> None:
    files = BodyFiles()
    bodies = [b"%d" % number for number in range(MOST + 1)]
    for _ in range(4):
        made = [files.of(body) for body in bodies]
    assert [file is None for file in made] == [False] * MOST + [True]


async def test_without_a_descriptor_left_there_is_no_file() -> None:
    files = BodyFiles()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        assert [files.of(BODY) for _ in range(5)] == [None] * 5
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_there_is_room_again_when_others_are_forgotten() -> None:
    files, other = BodyFiles(most_bytes=len(BODY)), BODY[::-1]
    files.of(BODY)
    await until(lambda: files.size == 0)
    [*_, file] = [files.of(other) for _ in range(4)]
    assert content(file) == other


def test_a_peer_that_reads_is_sent_everything(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    file = os.memfd_create("small")
    os.pwrite(file, BODY, 0)
    for _ in range(3):
        assert send(file, len(BODY), ours.fileno()) == len(BODY)
        assert read(theirs, len(BODY)) == BODY
    os.close(file)


def test_a_peer_that_does_not_read_is_sent_a_part(
    pair: tuple[socket.socket, socket.socket], large: tuple[int, bytes]
) -> None:
    ours, theirs = pair
    file, body = large
    sent = send(file, len(body), ours.fileno())
    assert 0 < sent < len(body)
    assert send(file, len(body), ours.fileno()) == 0
    assert read(theirs, sent) == body[:sent]


def test_a_peer_that_is_gone_is_sent_nothing(
    pair: tuple[socket.socket, socket.socket], large: tuple[int, bytes]
) -> None:
    ours, theirs = pair
    file, body = large
    theirs.close()
    assert send(file, len(body), ours.fileno()) == 0
    descriptor = ours.detach()
    os.close(descriptor)
    assert send(file, len(body), descriptor) == 0

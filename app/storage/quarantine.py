"""Whose turn it is to make or repair a database file that several processes share."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain, count
from pathlib import Path

Identity = tuple[int, int]
"""Device and number of a file: another one after the file was moved away and made again."""

# The file itself last: whoever comes between finds the damage, not half of it.
_PARTS = ("-wal", "-shm", "")
_PAUSE = 0.01


def identity_of(path: Path) -> Identity | None:
    """Which file lies at ``path`` now; ``None`` if there is none, or we may not look."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


@contextmanager
def alone_with(path: Path, patience: float) -> Iterator[None]:
    """Be the only one, among threads and processes, who makes or repairs ``path``.

    Blocks for up to ``patience`` seconds, then raises ``TimeoutError``. The lock is a file beside
    ``path`` and falls to the next one when its holder dies.
    """
    deadline = time.monotonic() + patience
    handle = os.open(path.with_name(path.name + "-lock"), os.O_RDWR | os.O_CREAT, 0o644)
    try:
        while not _locked(handle):
            if time.monotonic() > deadline:
                raise TimeoutError(f"somebody else has been making {path} for {patience:g} s")
            time.sleep(_PAUSE)
        yield
    finally:
        os.close(handle)


def quarantine(path: Path, damaged: Identity | None, now: float) -> Path | None:
    """Move ``path``, and SQLite's files beside it, to ``<name>.corrupt-<time>``; where that is.

    ``None``, and nothing is moved, if what lies there is not the file ``damaged`` (any more):
    somebody else was quicker. To be called while ``alone_with(path)``; ``now`` is wall time.
    Raises ``OSError``.
    """
    if damaged is None or damaged != identity_of(path):
        return None
    target = _free_name(path, now)
    for suffix in _PARTS:
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(target.with_name(target.name + suffix))
    return target


def _free_name(path: Path, now: float) -> Path:
    name = f"{path.name}.corrupt-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime(now))}"
    names = chain([name], (f"{name}-{number}" for number in count(2)))
    return next(free for free in map(path.with_name, names) if not free.exists())


def _locked(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True

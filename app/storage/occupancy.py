"""Who is at work in a folder: any number who use it, or one who puts something else in its place.

The lock is a file in the folder. The kernel gives it back when its holder dies, however it dies.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog

from app.errors import StoreUnavailable

_log = structlog.get_logger(__name__)
NAME = "in-use.lock"


class InUse(StoreUnavailable):
    """Raised when somebody else is at work in the folder."""


@contextmanager
def in_use(folder: Path) -> Iterator[None]:
    """Use ``folder``, which is made if it is not there, beside others who do.

    Raises ``InUse`` while somebody is ``alone_in`` it. A folder that has no place for a
    lock has none for a backup either: it is used without.
    """
    try:
        handle = _opened(folder)
    except OSError as error:
        _log.debug("no lock in the data folder", reason=str(error))
        yield
        return
    try:
        if not _locked(handle, fcntl.LOCK_SH):
            raise InUse(f"a backup is being put back into {folder}: try again when that has ended")
        yield
    finally:
        os.close(handle)


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Be the only one who uses ``folder``. Raises ``InUse`` while somebody else does, and
    ``StoreUnavailable`` if it cannot be written."""
    try:
        handle = _opened(folder)
    except OSError as error:
        raise StoreUnavailable(f"{folder} cannot be written: {error.strerror}") from error
    try:
        if not _locked(handle, fcntl.LOCK_EX):
            raise InUse(f"{folder} is in use: stop the gateway, and the workers, that use it")
        yield
    finally:
        os.close(handle)


def _opened(folder: Path) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    return os.open(folder / NAME, os.O_RDWR | os.O_CREAT, 0o644)


def _locked(handle: int, how: int) -> bool:
    try:
        fcntl.flock(handle, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True

"""A folder for unfinished things: gone when they are finished, and swept if nobody got so far."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.errors import BackupError
from app.storage.occupancy import InUse, alone_in

_PREFIX = ".drawbridge-backup-"


@contextmanager
def workspace(beside: Path) -> Iterator[Path]:
    """An empty folder in ``beside``, on the same disk. What others left there who were killed goes.

    Raises ``BackupError`` if nothing can be written there.
    """
    for left in beside.glob(f"{_PREFIX}*"):
        _sweep(left)
    try:
        made = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=beside))
    except OSError as error:
        raise BackupError(f"{beside} cannot be written: {error.strerror}") from error
    try:
        with alone_in(made):
            yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _sweep(left: Path) -> None:
    try:
        with alone_in(left):
            shutil.rmtree(left, ignore_errors=True)
    except InUse:
        return  # somebody works there

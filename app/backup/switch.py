"""The switch to what was put back: one rename, and then steps that may be taken twice.

What is to be is made ready in ``restoring``. The rename to ``restored`` is the moment from which it
counts; whoever comes first afterwards, a gateway that starts or ``drawbridge restore``, takes the
steps that are left. So a restore that is cut short leaves what was, or what is to be, never both.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import orjson
import structlog

from app.backup.places import open_file, open_link, open_redis_log
from app.config import Settings
from app.containers.ledger_file import NAME as BOOKS
from app.errors import BackupError, StoreError
from app.records.copying import copy_changes
from app.records.schema import RECORDS
from app.storage.folders import sync_folder
from app.storage.occupancy import InUse, alone_in

_log = structlog.get_logger(__name__)
READY, MAKING = "restored", "restoring"
_NOTE = "steps.json"
_PATIENCE, _PAUSE = 60.0, 0.1
"""Seconds that one of several who start together waits for the one that takes the steps."""


def make_room(data_dir: Path) -> Path:
    """An empty folder to make ready what is to be; what a restore left that was cut short goes."""
    folder = data_dir / MAKING
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def commit(data_dir: Path, *, home: int | None, to_redis: bool) -> None:
    """Let count what was made ready. ``home``: its number in MongoDB; ``to_redis``: the log of
    changes goes there."""
    folder = data_dir / MAKING
    note = folder / _NOTE
    note.write_bytes(orjson.dumps({"home": home, "to_redis": to_redis}))
    for path in folder.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
    sync_folder(folder)
    folder.rename(data_dir / READY)
    sync_folder(data_dir)


async def finish(settings: Settings, realm: str, *, alone: bool = False) -> bool:
    """Take the steps that are left, if any are. Whether there were any.

    ``alone``: the caller is ``alone_in`` the data folder already. Raises ``StoreError`` if they
    cannot be taken now: then nothing may be read or written.
    """
    folder = settings.data_dir / READY
    deadline = time.monotonic() + _PATIENCE
    while folder.is_dir():
        try:
            with nullcontext() if alone else alone_in(settings.data_dir):
                await _take_steps(settings, realm, folder)
        except InUse:
            # Several who start together: one of them does it.
            if alone or time.monotonic() > deadline:
                raise
            await asyncio.sleep(_PAUSE)
        else:
            _log.info("a backup was put back")
            return True
    return False


async def _take_steps(settings: Settings, realm: str, folder: Path) -> None:
    steps = _left(folder)
    if steps is not None:
        try:
            await _move(settings, realm, folder, steps)
        except StoreError as error:
            raise BackupError(
                f"a backup was put back, but for the last step ({error}): when that is mended start"
                " the gateway, which takes it"
            ) from error
        (folder / _NOTE).unlink()
    _put_files(folder, settings.data_dir)


async def _move(settings: Settings, realm: str, folder: Path, steps: Mapping[str, Any]) -> None:
    """What is not a file."""
    if steps["to_redis"]:
        async with (
            open_file(folder / RECORDS) as source,
            open_redis_log(settings, realm) as log,
        ):
            await copy_changes(source.changes, log, None, lambda *_: None)
    if steps["home"] is not None:
        from app.records.mongo_home import clear_out, move  # noqa: PLC0415 (the driver takes 7 MB)

        async with open_link(settings) as link:
            await link.ask(lambda database: move(database, steps["home"]))
            await link.ask(clear_out)


def _left(folder: Path) -> Mapping[str, Any] | None:
    """What is to be done before the files are put; ``None``: it was done."""
    try:
        found: Mapping[str, Any] = orjson.loads((folder / _NOTE).read_bytes())
    except FileNotFoundError:
        return None
    return found


def _put_files(folder: Path, data_dir: Path) -> None:
    for name in (RECORDS, BOOKS):
        if (folder / name).exists():
            # What was written last to the file before goes with it.
            for suffix in ("-wal", "-shm"):
                (data_dir / f"{name}{suffix}").unlink(missing_ok=True)
            (folder / name).replace(data_dir / name)
    sync_folder(data_dir)
    shutil.rmtree(folder, ignore_errors=True)

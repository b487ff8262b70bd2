"""A backup is taken: while gateways serve and jobs run, and without holding up either.

The records are in an SQLite file in it, whatever they were taken from. A file is copied by SQLite
itself, all of one moment. What is in MongoDB is copied by what every record store promises, each
collection of one generation; then what is taken later is never older than what it belongs to.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from app import __version__
from app.backup.archive_file import pack, proof_of
from app.backup.manifest import Manifest
from app.backup.places import FilePlace, open_file, open_link, open_mongo, open_redis_log
from app.backup.switch import finish
from app.backup.workspace import workspace
from app.config import Settings
from app.containers.ledger_file import NAME as BOOKS
from app.errors import BackupError
from app.records.copying import Watch, copy_changes, copy_history, copy_records
from app.records.inventory import clear_changes, counts
from app.records.schema import MIGRATIONS, RECORDS
from app.storage.occupancy import in_use
from app.storage.sqlite_connections import copy_to

_WITHIN = 3600.0
"""Seconds that the copy of a file may take."""


async def take(settings: Settings, realm: str, target: Path, watch: Watch) -> Manifest:
    """Write a backup of what ``settings`` name to ``target``, which is not there yet.

    ``realm``: what keys in Redis begin with. Raises ``StoreError``; then ``target`` is not made.
    """
    _check(target)
    await finish(settings, realm)
    live = settings.data_dir / RECORDS
    if settings.mongodb_uri is None and not live.exists():
        raise BackupError(
            f"there is nothing to back up: no {live}. Set DATA_DIR, or MONGODB_URI, to where the"
            " gateway keeps its records"
        )
    with in_use(settings.data_dir), workspace(target.parent) as folder:
        if settings.mongodb_uri is None:
            await _copy_file(settings.data_dir / RECORDS, folder / RECORDS, watch)
        async with open_file(folder / RECORDS) as copy:
            await _fill(settings, realm, copy, watch)
            counted = await copy.file.read(counts)
        names = [RECORDS]
        if _copy_books(settings.data_dir, folder):
            names.append(BOOKS)
        watch("archive", sum((folder / name).stat().st_size for name in names))
        manifest = Manifest(
            made_at=time.time(),
            drawbridge=__version__,
            schema=len(MIGRATIONS),
            source="sqlite" if settings.mongodb_uri is None else "mongodb",
            counts=counted,
            files={name: await asyncio.to_thread(proof_of, folder / name) for name in names},
        )
        await asyncio.to_thread(pack, folder, manifest, target)
    return manifest


def _check(target: Path) -> None:
    """Raise ``BackupError`` if nothing can be written there."""
    if target.exists():
        raise BackupError(f"{target} is there already: choose another name")
    if not target.parent.is_dir():
        raise BackupError(f"there is no folder {target.parent} to write the backup to")


async def _copy_file(source: Path, target: Path, watch: Watch) -> None:
    watch("records", 0)
    async with open_file(source) as live:
        await live.file.read(partial(copy_to, target), _WITHIN)


async def _fill(settings: Settings, realm: str, copy: FilePlace, watch: Watch) -> None:
    """Bring what is not in the file of the data folder."""
    newest: Mapping[str, int] = {
        one.collection: one.number for one in await copy.records.generations()
    }
    if settings.mongodb_uri is not None:
        async with open_link(settings), open_mongo(settings) as source:
            newest = await copy_records(source.records, copy.records, copy.numbers, watch)
            await copy_history(source.history, copy.history, watch)
    # After the records: what the log was told of them by then is not told again.
    if settings.redis_url is not None:
        await copy.file.write(clear_changes)
        async with open_redis_log(settings, realm) as log:
            await copy_changes(log, copy.changes, newest, watch)
    elif settings.mongodb_uri is not None and (settings.data_dir / RECORDS).exists():
        async with open_file(settings.data_dir / RECORDS) as live:
            await copy_changes(live.changes, copy.changes, newest, watch)


def _copy_books(source: Path, target: Path) -> bool:
    """Whether there are any. They are replaced as a whole, so what is read is whole."""
    try:
        shutil.copyfile(source / BOOKS, target / BOOKS)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise BackupError(f"{source / BOOKS} cannot be read: {error.strerror}") from error
    return True

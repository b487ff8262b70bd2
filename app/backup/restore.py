"""A backup is put back: made ready beside what is there, then exchanged for it at once.

While it is made ready nothing of what is there is touched. See ``app/backup/switch.py``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from app.backup.archive_file import unpack
from app.backup.manifest import Manifest
from app.backup.places import (
    FilePlace,
    open_file,
    open_link,
    open_mongo,
    open_redis_log,
)
from app.backup.switch import commit, finish, make_room
from app.config import CoordinationSettings, Settings, StoreSettings
from app.containers.ledger_file import NAME as BOOKS
from app.errors import BackupError
from app.records.copying import Watch, copy_changes, copy_history, copy_records
from app.records.inventory import counts, rename_log
from app.records.schema import MIGRATIONS, RECORDS
from app.storage.occupancy import alone_in
from app.storage.sqlite_connections import flaw_of

_KNOWN: Sequence[str] = (RECORDS, BOOKS)


@dataclass(frozen=True, slots=True)
class Restored:
    """What was put back. ``left``: what was not, with the reason, for people."""

    manifest: Manifest
    left: tuple[str, ...] = ()


async def restore(
    settings: Settings, realm: str, file: Path, watch: Watch, *, replace: bool
) -> Restored:
    """Put the backup in ``file`` to where ``settings`` keep things.

    ``replace``: also where there is something, which is gone then. Raises ``StoreError``; then
    what is there is what was there before, unless it says otherwise.
    """
    data_dir = settings.data_dir
    with alone_in(data_dir):
        await finish(settings, realm, alone=True)
        if not replace:
            await _must_be_empty(settings)
        folder = make_room(data_dir)
        watch("archive", 0)
        manifest = await asyncio.to_thread(
            unpack, file, folder, schema=len(MIGRATIONS), known=_KNOWN
        )
        if RECORDS not in manifest.files:
            raise BackupError(f"{file} holds no records")
        await _prove(folder / RECORDS)
        home = None
        if settings.mongodb_uri is not None:
            home = await _fill_mongo(settings, folder, watch)
        else:
            async with open_file(folder / RECORDS) as made:
                await made.file.write(rename_log)
        to_redis = settings.redis_url is not None and await _log_is_empty(settings, realm)
        _leave_nothing_beside(folder)
        commit(data_dir, home=home, to_redis=to_redis)
        await finish(settings, realm, alone=True)
    kept = settings.redis_url is not None and not to_redis
    left = ("the log of changes in Redis is not empty, and stays as it is",) if kept else ()
    return Restored(manifest, left)


async def _must_be_empty(settings: Settings) -> None:
    path = settings.data_dir / RECORDS
    if path.exists():
        async with open_file(path) as there:
            found = await there.file.read(counts)
        if any(found.values()):
            raise _full(str(path))
    if settings.mongodb_uri is not None:
        from app.records.mongo_home import is_empty  # noqa: PLC0415 (the driver takes 7 MB)

        async with open_link(settings) as link:
            if not await link.ask(is_empty):
                raise _full(f"the database {settings.mongodb_database}")


def _full(what: str) -> BackupError:
    return BackupError(f"{what} holds records already: --replace puts the backup in their place")


async def _prove(path: Path) -> None:
    """Raise ``BackupError`` if the file is no sound database; it is brought up to date."""
    flaw = await asyncio.to_thread(flaw_of, path)
    if flaw is not None:
        raise BackupError(f"the records in the backup are damaged: {flaw}")
    async with open_file(path) as made:
        await made.file.ping()


async def _fill_mongo(settings: StoreSettings, folder: Path, watch: Watch) -> int:
    """Copy records and history into a home of their own, and leave the changes in the file.

    The number of the home, which does not count yet.
    """
    from app.records.mongo_home import clear_out, free_home  # noqa: PLC0415 (as above)

    async with open_link(settings) as link:
        await link.ask(clear_out)
        home = await link.ask(free_home)
    packed = folder / "packed.sqlite3"
    (folder / RECORDS).rename(packed)
    async with (
        open_file(packed) as source,
        open_mongo(settings, home) as target,
        open_file(folder / RECORDS) as log,
    ):
        await copy_records(source.records, target.records, target.numbers, watch)
        await copy_history(source.history, target.history, watch)
        await _copy_log(source, log, watch)
    packed.unlink()
    return home


async def _copy_log(source: FilePlace, target: FilePlace, watch: Watch) -> None:
    await copy_changes(source.changes, target.changes, None, watch)


async def _log_is_empty(settings: CoordinationSettings, realm: str) -> bool:
    async with open_redis_log(settings, realm) as log:
        return not await log.last()


def _leave_nothing_beside(folder: Path) -> None:
    """Only what is to be moved stays; what SQLite had beside it is empty by now."""
    for path in folder.iterdir():
        if path.name.endswith("-wal") and path.stat().st_size:
            raise BackupError(f"{path} was not closed: try again")
        if path.name not in _KNOWN:
            path.unlink()

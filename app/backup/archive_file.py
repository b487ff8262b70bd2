"""The file that a backup is: a tar in zstandard, the manifest first and then what it names.

``tar --zstd -xf FILE`` opens it without us. What goes wrong is a ``BackupError``. Blocking.
"""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import zstandard

from app.backup.manifest import Manifest, Proof, dump, load
from app.errors import BackupError
from app.storage.folders import sync_folder

MANIFEST = "manifest.json"
_LARGEST_MANIFEST = 1_000_000
_CHUNK = 1 << 20
_LEVEL = 9


def proof_of(path: Path) -> Proof:
    """By what the file at ``path`` is known."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
    return Proof(path.stat().st_size, digest.hexdigest())


def pack(folder: Path, manifest: Manifest, target: Path) -> None:
    """Write what ``manifest`` names and ``folder`` holds to ``target``: all of it, or nothing.

    It is written into ``folder`` first, which must be on the disk of ``target``.
    """
    unfinished = folder / "archive"
    try:
        unfinished.touch(0o600)
        with unfinished.open("wb") as file:
            compressor = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True)
            with (
                compressor.stream_writer(file, closefd=False) as packed,
                tarfile.open(fileobj=cast(BinaryIO, packed), mode="w|") as tar,
            ):
                _add(tar, MANIFEST, dump(manifest))
                for name in manifest.files:
                    tar.add(folder / name, name, recursive=False, filter=_anonymous)
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            raise BackupError(f"{target} is there already: choose another name")
        os.replace(unfinished, target)
        sync_folder(target.parent)
    except OSError as error:
        raise BackupError(f"{target} cannot be written: {error.strerror}") from error


def unpack(file: Path, folder: Path, *, schema: int, known: Sequence[str]) -> Manifest:
    """Put what is in ``file`` into ``folder``, proved; the names are among ``known``.

    ``schema`` is the newest of records that the caller knows.
    """
    with _opened(file) as tar:
        members = iter(tar)
        manifest = load(_manifest(tar, next(members, None)), schema=schema)
        if unknown := manifest.files.keys() - set(known):
            raise BackupError(f"{file} holds what nobody knows here: {', '.join(sorted(unknown))}")
        left = dict(manifest.files)
        for member in members:
            proof = left.pop(member.name, None)
            if proof is None or not member.isfile() or member.size != proof.size:
                raise BackupError(f"{file} is damaged: {member.name} is not what it should be")
            _extract(tar, member, folder / member.name)
            if proof_of(folder / member.name) != proof:
                raise BackupError(f"{file} is damaged: {member.name} is not what was put into it")
    if left:
        raise BackupError(f"{file} is damaged: it ends before {', '.join(left)}")
    return manifest


@contextmanager
def _opened(file: Path) -> Iterator[tarfile.TarFile]:
    try:
        with (
            file.open("rb") as raw,
            zstandard.ZstdDecompressor().stream_reader(raw) as packed,
            tarfile.open(fileobj=cast(BinaryIO, packed), mode="r|") as tar,
        ):
            yield tar
    except (tarfile.TarError, zstandard.ZstdError, EOFError) as error:
        raise BackupError(f"{file} is damaged, or no backup: {error}") from error
    except OSError as error:
        where = error.filename or file
        raise BackupError(f"{where}: {error.strerror or error}") from error


def _manifest(tar: tarfile.TarFile, member: tarfile.TarInfo | None) -> bytes:
    content = None
    if member is not None and member.name == MANIFEST and member.size <= _LARGEST_MANIFEST:
        content = tar.extractfile(member)
    if content is None:
        raise BackupError("this is no backup of Drawbridge's: it does not begin with its manifest")
    return content.read()


def _extract(tar: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    content = tar.extractfile(member)
    if content is None:
        raise BackupError(f"{member.name} is no file")
    with target.open("wb") as file:
        while chunk := content.read(_CHUNK):
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(content), 0o600
    tar.addfile(member, io.BytesIO(content))


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Who ran the program is nobody's business."""
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mode = 0o600
    return member

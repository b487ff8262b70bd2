"""The archive as a file: written whole or not at all, and proved when it is opened."""

from __future__ import annotations

import io
import random
import tarfile
from pathlib import Path

import pytest
import zstandard

from app.backup.archive_file import MANIFEST, pack, proof_of, unpack
from app.backup.manifest import Manifest, Proof, dump
from app.errors import BackupError
from tests.chaos.disk import small_disk
from tests.real.require import unavailable

KNOWN = ("one", "two")


def manifest(files: dict[str, Proof]) -> Manifest:
    return Manifest(1.0, "0.1.0", 1, "sqlite", {}, files)


def made(tmp_path: Path, *names: str) -> Path:
    """An archive of files of that name."""
    folder = tmp_path / "made"
    folder.mkdir()
    for name in names:
        (folder / name).write_bytes(name.encode() * 1000)
    target = tmp_path / "archive.tar.zst"
    pack(folder, manifest({name: proof_of(folder / name) for name in names}), target)
    return target


def opened(file: Path, tmp_path: Path) -> Manifest:
    folder = tmp_path / "opened"
    folder.mkdir(exist_ok=True)
    return unpack(file, folder, schema=1, known=KNOWN)


def by_hand(file: Path, *members: tuple[str, bytes]) -> None:
    """An archive that somebody else made."""
    with (
        zstandard.ZstdCompressor().stream_writer(file.open("wb")) as packed,
        tarfile.open(fileobj=packed, mode="w|") as tar,
    ):
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


def test_what_is_packed_is_unpacked(tmp_path: Path) -> None:
    file = made(tmp_path, "one", "two")
    assert list(opened(file, tmp_path).files) == ["one", "two"]
    assert (tmp_path / "opened" / "two").read_bytes() == b"two" * 1000
    assert not (tmp_path / "made" / "archive").exists()


def test_a_file_that_came_meanwhile_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "archive.tar.zst").write_bytes(b"somebody's")
    with pytest.raises(BackupError, match="there already"):
        made(tmp_path, "one")
    assert (tmp_path / "archive.tar.zst").read_bytes() == b"somebody's"


def test_members_that_the_manifest_does_not_name_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "by-hand.tar.zst"
    proof = Proof(1, "00")
    for extra in ("../outside", "/outside", "three"):
        by_hand(file, (MANIFEST, dump(manifest({"one": proof}))), (extra, b"x"))
        with pytest.raises(BackupError, match="is not what it should be"):
            opened(file, tmp_path)
    assert not (tmp_path / "outside").exists()


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ([], "does not begin with its manifest"),
        ([("one", b"x")], "does not begin with its manifest"),
        ([(MANIFEST, b"{}")], "no backup"),
        ([(MANIFEST, dump(manifest({"one": Proof(1, "00")})))], "ends before one"),
        ([(MANIFEST, dump(manifest({"one": Proof(1, "00")}))), ("one", b"x")], "put into it"),
        ([(MANIFEST, dump(manifest({"three": Proof(1, "00")})))], "nobody knows here: three"),
    ],
)
def test_what_is_not_as_it_says_is_refused(
    tmp_path: Path, members: list[tuple[str, bytes]], reason: str
) -> None:
    by_hand(tmp_path / "by-hand.tar.zst", *members)
    with pytest.raises(BackupError, match=reason):
        opened(tmp_path / "by-hand.tar.zst", tmp_path)


@pytest.mark.real("small disk")
def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        if disk is None:
            unavailable("small disk", "none may be mounted here")
        folder = tmp_path / "disk" / "work"
        folder.mkdir()
        (folder / "one").write_bytes(random.Random(1).randbytes(300_000))
        disk.fill()
        target = tmp_path / "disk" / "b.tar.zst"
        with pytest.raises(BackupError, match="No space left"):
            pack(folder, manifest({"one": proof_of(folder / "one")}), target)
        assert not target.exists()

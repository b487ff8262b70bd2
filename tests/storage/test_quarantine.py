"""A damaged file is moved once, with all that belongs to it, and onto nothing."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from app.storage.quarantine import alone_with, identity_of, quarantine

NOON = 1_750_000_000.0
NAME = "store.db.corrupt-20250615T150640Z"


def contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_the_file_goes_with_its_companions(tmp_path: Path) -> None:
    for name in ("store.db", "store.db-wal", "store.db-shm", "store.db-journal", "other.db"):
        (tmp_path / name).write_text(name)
    path = tmp_path / "store.db"
    assert quarantine(path, identity_of(path), NOON) == tmp_path / NAME
    assert contents(tmp_path) == {
        NAME: "store.db",
        f"{NAME}-wal": "store.db-wal",
        f"{NAME}-shm": "store.db-shm",
        "store.db-journal": "store.db-journal",
        "other.db": "other.db",
    }


def test_what_was_moved_before_stays(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    for content in ("one", "two", "three"):
        path.write_text(content)
        quarantine(path, identity_of(path), NOON)
    assert contents(tmp_path) == {NAME: "one", f"{NAME}-2": "two", f"{NAME}-3": "three"}


def test_another_file_than_the_damaged_one_stays(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    path.write_text("damaged")
    damaged = identity_of(path)
    path.rename(tmp_path / "moved by somebody else")
    path.write_text("sound")
    assert quarantine(path, damaged, NOON) is None
    assert path.read_text() == "sound"


def test_no_file_is_no_matter(tmp_path: Path) -> None:
    assert identity_of(tmp_path / "store.db") is None
    assert quarantine(tmp_path / "store.db", None, NOON) is None
    assert quarantine(tmp_path / "store.db", (1, 2), NOON) is None


def test_one_of_many_moves_it(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    path.write_text("damaged")
    damaged = identity_of(path)
    start = threading.Barrier(8)

    def try_it(_: int) -> Path | None:
        start.wait(10)
        with alone_with(path, 10.0):
            moved_to = quarantine(path, damaged, NOON)
            path.touch()  # as the next opening does
            return moved_to

    with ThreadPoolExecutor(8) as threads:
        moves = list(threads.map(try_it, range(8)))
    assert sorted(moves, key=str) == [tmp_path / NAME] + [None] * 7
    (tmp_path / "store.db-lock").unlink()
    assert contents(tmp_path) == {NAME: "damaged", "store.db": ""}


def test_one_at_a_time_is_alone(tmp_path: Path) -> None:
    inside: list[int] = []

    def enter(number: int) -> list[int]:
        with alone_with(tmp_path / "store.db", 10.0):
            inside.append(number)
            time.sleep(0.001)  # time for the others to come in, if they could
            seen = list(inside)
            inside.remove(number)
            return seen

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(enter, range(8))) == [[number] for number in range(8)]


def test_patience_ends(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with (
        alone_with(path, 0.0),
        pytest.raises(TimeoutError, match="somebody else"),
        alone_with(path, 0.0),
    ):
        pytest.fail("two are alone")
    with alone_with(path, 0.0):
        pass


def test_a_holder_that_dies_gives_it_up(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    dies_inside = (
        "import os, signal, sys, pathlib\n"
        "from app.storage.quarantine import alone_with\n"
        "with alone_with(pathlib.Path(sys.argv[1]), 0.0):\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    command = [sys.executable, "-c", dies_inside, str(path)]
    died = subprocess.run(command, cwd=Path(__file__).parents[2], check=False)
    assert died.returncode == -signal.SIGKILL
    with alone_with(path, 0.0):
        pass


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), alone_with(tmp_path / "nowhere" / "store.db", 0.0):
        pytest.fail("there is no such folder")

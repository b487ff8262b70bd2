"""Who is at work in a folder: among processes, and given back by one that dies."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from app.errors import StoreUnavailable
from app.storage.occupancy import InUse, alone_in, in_use

HOLD = """
import sys
from pathlib import Path
from app.storage.occupancy import alone_in, in_use
with (alone_in if sys.argv[1] == "alone" else in_use)(Path(sys.argv[2])):
    print("held", flush=True)
    sys.stdin.read()
"""


def holder(how: str, folder: Path) -> subprocess.Popen[str]:
    """A process that is at work in ``folder`` until it is killed."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, how, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_any_number_may_use_a_folder_that_nobody_exchanges(tmp_path: Path) -> None:
    folder = tmp_path / "made" / "on demand"
    with (
        in_use(folder),
        in_use(folder),
        pytest.raises(InUse, match="stop the gateway"),
        alone_in(folder),
    ):
        raise AssertionError
    with alone_in(folder), pytest.raises(InUse, match="put back"), in_use(folder):
        raise AssertionError
    with in_use(folder):
        pass


@pytest.mark.parametrize("how", ["alone", "beside others"])
def test_it_is_known_among_processes_until_they_die(tmp_path: Path, how: str) -> None:
    process = holder(how, tmp_path)
    try:
        with pytest.raises(InUse), alone_in(tmp_path):
            raise AssertionError
    finally:
        process.kill()
        process.communicate(timeout=20)
    with alone_in(tmp_path):
        pass


def test_a_folder_without_a_place_for_a_lock_is_used_and_not_exchanged(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with in_use(tmp_path / "file"):
        pass
    with pytest.raises(StoreUnavailable, match="cannot be written"), alone_in(tmp_path / "file"):
        raise AssertionError

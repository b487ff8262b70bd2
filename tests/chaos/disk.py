"""A small disk of its own, which a test may fill."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_SIZE = 32
"""Megabytes: enough for all the answers of a run."""


class SmallDisk:
    """A disk mounted at ``path``."""

    def __init__(self, path: Path) -> None:
        self._ballast = path / "ballast"

    def fill(self) -> None:
        """Leave no byte free."""
        with self._ballast.open("wb", buffering=0) as file:
            for piece in (1_000_000, 4096):
                try:
                    while file.write(bytes(piece)):
                        pass
                except OSError:
                    continue

    def empty(self) -> None:
        """Undo ``fill``."""
        self._ballast.unlink(missing_ok=True)


@contextmanager
def small_disk(path: Path) -> Iterator[SmallDisk | None]:
    """Mount one at the folder ``path``, which is made; ``None`` where that may not be done."""
    path.mkdir(parents=True)
    if sys.platform != "linux" or os.geteuid() != 0:
        yield None
        return
    mount = ["mount", "-t", "tmpfs", "-o", f"size={_SIZE}m", "tmpfs", str(path)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        yield None
        return
    try:
        yield SmallDisk(path)
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)

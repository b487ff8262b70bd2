"""A wall clock that a test sets, for a real process: Debian's libfaketime.

The monotonic clock of the process stays as it is. (Of all that runs on that one, ``time.sleep`` is
the exception: libfaketime breaks it. What runs under it must not sleep so.)
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from tests.real.require import unavailable

_LIBRARY = "*/faketime/libfaketimeMT.so.1"


class WallClock:
    """The clock of the processes that run with ``settings`` in their environment."""

    def __init__(self, library: Path, folder: Path) -> None:
        self._file = folder / "clock"
        self.settings: Mapping[str, str] = {
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        self.put(0)

    def put(self, seconds: float) -> None:
        """Be ``seconds`` ahead of the right time, or behind it; counts at once."""
        # As a whole, because it is read at any moment.
        made = self._file.with_suffix(".new")
        made.write_text(f"{seconds:+g}\n")
        os.replace(made, self._file)


def wall_clock(folder: Path) -> WallClock:
    """A clock that goes right; the test is skipped where none can be had."""
    found = sorted(Path("/usr/lib").glob(_LIBRARY))
    if not found:
        unavailable("clock to be set", "there is no libfaketime")
    return WallClock(found[0], folder)

"""A wall clock that a test sets, for a real process of Python's.

What the process sees as ``time.time`` is the right time and an offset, which is read from a file at
each call, so it jumps while the process runs; every other clock goes on as it is. (libfaketime,
which does this for a whole process, also stands between the interpreter and its lock, and holds
it up for seconds on end.)
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path

_ROOT = Path(__file__).parents[2]
_OFFSET = struct.Struct("<d")
_AT_START = """
import mmap, struct, time

with open({path!r}, "r+b") as file:
    _seen = mmap.mmap(file.fileno(), {size})
_right, _offset = time.time, struct.Struct("<d").unpack_from
time.time = lambda: _right() + _offset(_seen)[0]
"""
"""Run by Python before anything else, from a module of this name on its path."""


class WallClock:
    """The clock of the processes that run with ``settings`` in their environment."""

    def __init__(self, folder: Path) -> None:
        site = folder / "clock"
        site.mkdir()
        self._file = site / "offset"
        self._file.write_bytes(_OFFSET.pack(0.0))
        code = _AT_START.format(path=str(self._file), size=_OFFSET.size)
        (site / "sitecustomize.py").write_text(code, encoding="utf-8")
        self.settings: Mapping[str, str] = {"PYTHONPATH": f"{site}:{_ROOT}"}

    def put(self, seconds: float) -> None:
        """Be ``seconds`` ahead of the right time, or behind it; counts at once."""
        with self._file.open("r+b") as file:
            file.write(_OFFSET.pack(seconds))


def wall_clock(folder: Path) -> WallClock:
    """A clock that goes right, until it is set; its file is in ``folder``."""
    return WallClock(folder)

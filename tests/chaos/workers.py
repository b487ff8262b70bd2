"""The workers of a gateway, found where the system lists processes."""

from __future__ import annotations

from pathlib import Path

_START_TIME = 19
"""The place of the time of birth among the fields after the name (see proc(5))."""


def workers_of(parent: int) -> list[int]:
    """The children of ``parent`` that serve, or are about to; the one that runs longest first."""
    found = []
    for listed in Path(f"/proc/{parent}/task").glob("*/children"):
        found += [int(child) for child in _text(listed).split() if _is_worker(int(child))]
    return sorted(found, key=_started)


def _is_worker(pid: int) -> bool:
    return "spawn_main" in _text(Path(f"/proc/{pid}/cmdline"))


def _started(pid: int) -> int:
    """When it was started, in ticks; zero if it is gone."""
    fields = _text(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
    return int(fields[_START_TIME]) if fields else 0


def _text(file: Path) -> str:
    """Nothing if the process is gone."""
    try:
        return file.read_text(errors="replace")
    except OSError:
        return ""

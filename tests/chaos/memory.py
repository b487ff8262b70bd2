"""How much memory the gateway takes while it is under attack."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from tests.chaos.stage import Stage

_INTERVAL = 0.1


class MemoryWatch:
    """Looks at the resident memory of the gateway's processes again and again."""

    def __init__(self, stage: Stage) -> None:
        self.growth = 0
        """Bytes by which a gateway process grew since it was seen first, at the most."""
        self._stage = stage
        self._first: dict[int, int] = {}

    async def look(self) -> None:
        """Look until cancelled."""
        while True:
            for pid in self._stage.serving_pids if self._stage.life % 2 == 0 else []:
                if (size := _resident(pid)) is not None:
                    self.growth = max(self.growth, size - self._at_first(pid, size))
            await asyncio.sleep(_INTERVAL)

    def _at_first(self, pid: int, size: int) -> int:
        # One that takes another's place is seen being born, and may become as large as that was.
        before = max(self._first.values(), default=0)
        return self._first.setdefault(pid, max(before, size))


@asynccontextmanager
async def watched_memory(stage: Stage) -> AsyncIterator[MemoryWatch]:
    """Watch while the block runs."""
    watch = MemoryWatch(stage)
    looking = asyncio.create_task(watch.look())
    try:
        yield watch
    finally:
        looking.cancel()
        with suppress(asyncio.CancelledError):
            await looking


def _resident(pid: int) -> int | None:
    """Bytes; ``None`` when the process is gone, or the system does not tell."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    except OSError:
        return None
    found = re.search(r"^VmRSS:\s+(\d+) kB$", status, re.MULTILINE)
    return int(found[1]) * 1024 if found else None

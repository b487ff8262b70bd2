"""Puts containers to sleep before their time when the host runs short of memory."""

from __future__ import annotations

from pathlib import Path

import structlog

from app.containers.fleet import Fleet
from app.containers.idle_monitor import tick
from app.containers.pressure import available_memory, choose
from app.errors import ContainerError
from app.owned_task import OwnsTask

_log = structlog.get_logger(__name__)
MEMINFO = Path("/proc/meminfo")
"""The host's, also inside a container: the engine gives each the same. What limits the gateway's
own container says nothing about the others, and is not looked at."""
CAUSE = "memory is short"


class MemoryGuard(OwnsTask):
    """Looks every ``every`` seconds while entered, and keeps ``reserve`` bytes available.

    The next one is chosen when the one before is down, by what is available then.
    """

    task_name = "memory guard"

    def __init__(
        self, fleet: Fleet, reserve: int, *, every: float, meminfo: Path = MEMINFO
    ) -> None:
        self._fleet = fleet
        self._reserve = reserve
        self._every = every
        self._meminfo = meminfo
        self._short = False

    async def look(self) -> str | None:
        """Put one container to sleep if memory is short and one may go; which one it was."""
        available = self._available()
        self._tell(available)
        passed: set[str] = set()
        while True:
            views = [view for view in self._fleet.views() if view.name not in passed]
            name = choose(views, available, self._reserve)
            if name is None:
                return None
            try:
                await self._fleet.sleep(name, CAUSE, reason="memory")
            except ContainerError:
                # A veto holds, or somebody began to use it this moment: then it is the next one.
                passed.add(name)
            else:
                return name

    async def _run(self) -> None:
        await tick({"memory": self.look}, self._every)

    def _available(self) -> int | None:
        return available_memory(self._meminfo.read_text(encoding="ascii"))

    def _tell(self, available: int | None) -> None:
        short = available is not None and available < self._reserve
        if short and not self._short:
            _log.warning("memory is short", available=available, reserve=self._reserve)
        if self._short and not short:
            _log.info("memory is no longer short", available=available, reserve=self._reserve)
        self._short = short

"""What is told or fetched on the side, while nobody waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


class Errands:
    """Tasks called ``name``, ``most`` at once; what would be one too many is not done at all.

    They are begun inside the running loop, and each ends by itself within a moment.
    """

    def __init__(self, name: str, most: int) -> None:
        self._name = name
        self._most = most
        self._under_way: set[asyncio.Task[None]] = set()

    def begin(self, errand: Coroutine[Any, Any, None]) -> None:
        """Do ``errand``, unless too many are under way."""
        if len(self._under_way) >= self._most:
            errand.close()
            return
        task = asyncio.create_task(errand, name=self._name)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def finish(self) -> None:
        """Return when all that are under way are done, well or not."""
        await asyncio.gather(*self._under_way, return_exceptions=True)

    async def aclose(self) -> None:
        """End those that are under way."""
        for task in self._under_way:
            task.cancel()
        await self.finish()

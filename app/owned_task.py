"""What a part does in the background for as long as it is open, and no longer."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from typing import ClassVar, Self

import structlog

_log = structlog.get_logger(__name__)
_ONCE_MORE = 5.0
"""Seconds after which a task that goes on is cancelled again."""


class OwnsTask(ABC):
    """Runs ``_run`` in one task while it is entered; enter it inside the running loop.

    Leaving cancels the task and returns when it has ended. An error that ends it before that is
    logged at once, and raised nowhere: what else there is to close is closed all the same.
    """

    task_name: ClassVar[str]

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run(), name=self.task_name)
        self._task.add_done_callback(_tell_if_broken)
        return self

    async def __aexit__(self, *_: object) -> None:
        while not self._task.done():
            # More than once: ``asyncio.wait_for`` loses a cancellation now and then in Python
            # 3.11, and libraries use it.
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=_ONCE_MORE)

    @abstractmethod
    async def _run(self) -> None:
        """What is done; goes on until it is cancelled."""


def _tell_if_broken(task: asyncio.Task[None]) -> None:
    error = None if task.cancelled() else task.exception()
    if error is not None:
        _log.error("a task broke", task=task.get_name(), exc_info=error)

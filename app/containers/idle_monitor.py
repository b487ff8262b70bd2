"""The ticker: at each interval every step is taken, whatever became of the one before."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import NoReturn

import structlog

from app.errors import DrawbridgeError

log = structlog.get_logger(__name__)


async def tick(steps: Mapping[str, Callable[[], Awaitable[object]]], interval: float) -> NoReturn:
    """Take the steps in order, every ``interval`` seconds, until cancelled.

    A step that raises is logged when it begins to fail and when it works again, not each time.
    """
    failing: set[str] = set()
    while True:
        await asyncio.sleep(interval)
        for name, take in steps.items():
            try:
                await take()
            except DrawbridgeError as error:
                if name not in failing:
                    log.warning("monitor_step_fails", step=name, error=str(error), exc_info=True)
                failing.add(name)
            except Exception as error:
                if name not in failing:
                    log.exception("monitor_step_fails", step=name, error=str(error))
                failing.add(name)
            else:
                if name in failing:
                    failing.discard(name)
                    log.info("monitor_step_works_again", step=name)

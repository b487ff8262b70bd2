"""What processes tell each other the moment it happens, over Redis pub/sub.

A message may be lost: everything that is told here is told again, or found out, in another way.
What it spares is the time until then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import structlog

from app.coordination.link import FAILURES, RedisLink, reason_of
from app.coordination.patience import in_time
from app.owned_task import OwnsTask

_log = structlog.get_logger(__name__)
SILENCE = 5.0
"""Seconds without any message after which the connection is taken for dead: every process that
lives is heard each second, this one included."""
PAUSE = 1.0
"""Seconds between two tries to listen."""
_LONGEST = 512

Hear = Callable[[str, list[str]], None]
"""Is told the first word of a message and those after it. Must not raise or block."""


class News(OwnsTask):
    """Listens to ``channel`` while it is entered."""

    task_name = "news"

    def __init__(
        self, link: RedisLink, channel: str, hear: Hear, *, on_listening: Callable[[], None]
    ) -> None:
        self.listening = False
        """Whether messages are heard now."""
        self._link = link
        self._channel = channel
        self._hear = hear
        self._on_listening = on_listening

    async def _run(self) -> None:
        while True:
            try:
                await self._listen()
            except FAILURES as error:
                _log.debug("not listening to other processes", reason=reason_of(error))
            self.listening = False
            await asyncio.sleep(PAUSE)

    async def _listen(self) -> None:
        """Until nothing is heard any more."""
        async with self._link.redis.pubsub(ignore_subscribe_messages=True) as subscription:
            await in_time(lambda: subscription.subscribe(self._channel), SILENCE)
            self.listening = True
            # What was told while nobody listened here has to be found out.
            self._on_listening()
            loop = asyncio.get_running_loop()
            heard_at = loop.time()
            while loop.time() - heard_at < SILENCE:
                message = await subscription.get_message(timeout=1.0)
                if message is not None:
                    heard_at = loop.time()
                    self._pass_on(message["data"])

    def _pass_on(self, data: Any) -> None:
        if isinstance(data, bytes) and len(data) <= _LONGEST:
            first, *others = data.decode("utf-8", "replace").split(" ")
            self._hear(first, others)

"""The other gateways that look after the same containers: what is asked of them before a stop."""

from __future__ import annotations

import asyncio
from typing import Protocol


class Right(Protocol):
    """The right to stop one container; nobody else has it meanwhile, and nobody uses it."""

    @property
    def holds(self) -> bool:
        """Whether it is held still, for as long as it takes to begin a stop."""

    async def give_back(self) -> None:
        """It was stopped, or is not going to be: the others look for themselves. Never raises."""


class Peers(Protocol):
    """Asks the others, and is told what they ask."""

    async def ask(self, container_id: str, *, wish: bool) -> Right | None:
        """The right to stop it, when all others have closed their gates to it.

        ``wish``: an operator's, for which nobody need have been idle for long. ``None``: somebody
        uses it, or somebody cannot be asked. Never raises; takes some seconds at most.
        """

    async def is_taken(self, container_id: str) -> bool:
        """Whether another gateway has the right to stop it now; ``False`` if that cannot be known.
        Never raises; takes a moment."""

    async def given_back(self, container_id: str) -> None:
        """Return when no other gateway has the right to stop it any more."""


class Nobody:
    """This gateway is the only one."""

    async def ask(self, container_id: str, *, wish: bool) -> Right | None:
        """Nobody objects."""
        return _Unshared()

    async def is_taken(self, container_id: str) -> bool:
        """There is no other."""
        return False

    async def given_back(self, container_id: str) -> None:
        """Nobody ever had it, so nobody asked for it."""
        await asyncio.sleep(0)


class _Unshared:
    holds = True

    async def give_back(self) -> None:
        """Nobody waits for it."""

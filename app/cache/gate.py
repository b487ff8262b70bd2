"""The door in front of the response store, which may be asleep."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Protocol


class StoreGate(Protocol):
    """Says whether the store may be used now, and gets it woken when not."""

    @property
    def is_open(self) -> bool:
        """Whether the store is up now; looking wakes nobody."""

    def enter(self) -> AbstractContextManager[object] | None:
        """Use the store if that is possible without waiting.

        Returns what keeps it up while it is used (leave it when done), or ``None``: it is not
        up, and has been asked to wake in the background. Never blocks, never raises.
        """

    async def open(self) -> AbstractContextManager[object]:
        """Wait until the store may be used; what is returned keeps it up until it is left.

        Raises ``ContainerError`` when it cannot be had in its time.
        """

    async def borrow(self) -> AbstractContextManager[object]:
        """As ``open``, for chores: when they are done, they have been no reason to stay up."""


class OpenGate:
    """For a store that is always there."""

    is_open = True

    def enter(self) -> AbstractContextManager[object]:
        return nullcontext()

    async def open(self) -> AbstractContextManager[object]:
        return nullcontext()

    async def borrow(self) -> AbstractContextManager[object]:
        return nullcontext()

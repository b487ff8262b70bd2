"""One fetch for all processes that want it at the same time: the seam, and the way of one alone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

T = TypeVar("T")


class Code(Protocol[T]):
    """How what a flight brings is handed to another process."""

    def pack(self, result: T) -> bytes | None:
        """``result`` as bytes; ``None`` if it is too large to be handed on."""

    def read(self, packed: bytes, *, awaited: bool) -> T | None:
        """What another process packed, if it is of use here.

        ``awaited``: it is what the flight brought that was waited for, and not merely what some
        earlier one did. Damage is of no use.
        """

    def is_news(self, result: T) -> bool:
        """Whether those should hear of it who hold an older answer."""


class Flights(Protocol):
    """Sees to it that one process at a time does the work for a key."""

    async def fly(self, key: str, work: Callable[[], Awaitable[T]], code: Code[T]) -> T:
        """Do ``work``, or take over what another process that was faster brought.

        When that process dies, one of those who wait does the work instead. When nobody can say
        who does what, each process works by itself: this never fails of its own.
        """


class Alone:
    """There is no other process."""

    async def fly(self, key: str, work: Callable[[], Awaitable[T]], code: Code[T]) -> T:
        """Do ``work``."""
        return await work()

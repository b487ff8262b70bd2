"""One publisher, any number of readers, none of whom can hold up the others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

T = TypeVar("T")


class Broadcast(Generic[T]):
    """Hands each published item to each subscriber, through a buffer of ``size`` items.

    A reader whose buffer is full is dropped: it gets what is in the buffer, and then its
    iteration ends, as it does when the broadcast is closed.
    """

    def __init__(self, size: int = 256) -> None:
        self._size = size
        self._readers: set[_Reader[T]] = set()
        self._closed = False

    def publish(self, item: T) -> None:
        """Give ``item`` to everybody who listens. Never blocks."""
        for reader in tuple(self._readers):
            if len(reader.items) >= self._size:
                self._drop(reader)
            else:
                reader.items.append(item)
                reader.news.set()

    @asynccontextmanager
    async def subscribe(self) -> AsyncIterator[AsyncIterator[T]]:
        """Everything that is published from entering on."""
        reader: _Reader[T] = _Reader()
        reader.ended = self._closed
        self._readers.add(reader)
        try:
            yield reader
        finally:
            self._drop(reader)

    def close(self) -> None:
        """End all iterations, those that begin later too."""
        self._closed = True
        for reader in tuple(self._readers):
            self._drop(reader)

    def _drop(self, reader: _Reader[T]) -> None:
        self._readers.discard(reader)
        reader.ended = True
        reader.news.set()


class _Reader(Generic[T]):
    def __init__(self) -> None:
        self.items: list[T] = []
        self.news = asyncio.Event()
        self.ended = False

    def __aiter__(self) -> _Reader[T]:
        return self

    async def __anext__(self) -> T:
        while not self.items:
            if self.ended:
                raise StopAsyncIteration
            self.news.clear()
            await self.news.wait()
        return self.items.pop(0)

"""Answers on their way to the store, which may be asleep: a bounded queue and its writer."""

from __future__ import annotations

import asyncio
from collections import OrderedDict

import structlog

from app.cache.gate import StoreGate
from app.cache.store import Entry, ResponseStore
from app.errors import ContainerError, StoreError, StoreUnavailable
from app.waiting import set_within

_log = structlog.get_logger(__name__)
_BATCH = 64
_GATHER = 0.05
"""Seconds between the first answer and its writing: others come along, and the client who waits
for the next one does not have to share the interpreter with the writer."""
_OVERHEAD = 1000
"""Bytes that an entry takes besides its body and its target."""
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.2, 5.0


class WriteBehind:
    """Writes entries to the store, some time soon; owns one task.

    An entry that waits is replaced by a later one for the same key. When more than ``capacity``
    bytes wait, what has waited longest is dropped and counted in ``dropped``: the memory tier and
    the upstream still have it.
    """

    def __init__(self, store: ResponseStore, gate: StoreGate, capacity: int) -> None:
        self.dropped = 0
        self.losing = False
        """Whether the last answer that left the queue was dropped instead of written."""
        self.size = 0
        """Bytes that wait."""
        self._store = store
        self._gate = gate
        self._capacity = capacity
        self._waiting: OrderedDict[str, Entry] = OrderedDict()
        self._overruling: set[str] = set()
        self._work = asyncio.Event()
        self._drained = asyncio.Event()
        self._drained.set()
        self._hurry = asyncio.Event()
        self._task = asyncio.create_task(self._run(), name="write-behind")

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, entry: Entry, *, overrule: bool = False) -> None:
        """Write ``entry`` as soon as the store can be had.

        ``overrule``: also over an entry that claims to be later, because a clock was wrong.
        """
        self._take_out(entry.key)
        if overrule:
            self._overruling.add(entry.key)
        self._waiting[entry.key] = entry
        self.size += _weight(entry)
        while self.size > self._capacity:
            self._drop_oldest()
        if self._waiting:
            self._drained.clear()
            self._work.set()

    def waiting(self, key: str) -> Entry | None:
        """The entry for ``key`` that is not written yet: the store does not know it."""
        return self._waiting.get(key)

    async def aclose(self, patience: float = 5.0) -> None:
        """Write what waits, for up to ``patience`` seconds, and stop."""
        if self._task.done():
            return
        self._hurry.set()
        if not await set_within(self._drained, patience):
            _log.warning("answers were not written to the store", count=len(self._waiting))
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        pause = _SHORTEST_PAUSE
        while True:
            if not self._work.is_set():
                await self._work.wait()
                await set_within(self._hurry, _GATHER)
            try:
                with await self._gate.open():
                    await self._write_batch()
            except (ContainerError, StoreUnavailable) as error:
                if pause == _SHORTEST_PAUSE:
                    _log.info("the store cannot be written now", reason=str(error))
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
            else:
                pause = _SHORTEST_PAUSE
                self._rest_if_done()

    async def _write_batch(self) -> None:
        batch = list(self._waiting.values())[:_BATCH]
        results = await asyncio.gather(*map(self._write, batch), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result

    async def _write(self, entry: Entry) -> None:
        try:
            if entry.key in self._overruling:
                await self._store.delete(entry.key)
                self._overruling.discard(entry.key)
            await self._store.put(entry)
        except StoreUnavailable:
            raise
        except StoreError as error:
            self.dropped += 1
            if not self.losing:
                _log.warning("answers cannot be stored", target=entry.target, reason=str(error))
            self.losing = True
        else:
            if self.losing:
                _log.info("answers are stored again", dropped=self.dropped)
            self.losing = False
        if self._waiting.get(entry.key) is entry:
            self._take_out(entry.key)

    def _rest_if_done(self) -> None:
        if not self._waiting:
            self._work.clear()
            self._drained.set()

    def _take_out(self, key: str) -> None:
        entry = self._waiting.pop(key, None)
        if entry is not None:
            self.size -= _weight(entry)

    def _drop_oldest(self) -> None:
        key = next(iter(self._waiting))
        self._take_out(key)
        self._overruling.discard(key)
        self.dropped += 1
        self.losing = True
        if self.dropped & (self.dropped - 1) == 0:
            _log.warning("the store's queue is full: answers are dropped", dropped=self.dropped)


def _weight(entry: Entry) -> int:
    return len(entry.body) + len(entry.target) + _OVERHEAD

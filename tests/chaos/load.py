"""A constant load: questions at a steady rate, whatever the answers do, each answer examined."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from tests.chaos.faults import ANSWERED, REFUSED
from tests.chaos.plan import Plan
from tests.chaos.stage import KNOWN, UPSTREAM_TIMEOUT, Stage

_NEW_PATIENCE = UPSTREAM_TIMEOUT + 2.0
_MOST_UNDER_WAY = 1000
_EXAMPLES = 5
_NEW_STATUSES = (200, 502, 503, 504)
_CUT = (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError, aiohttp.ClientPayloadError)
_BROKEN = (aiohttp.ClientError, OSError)
_new_numbers = itertools.count()


@dataclass(slots=True)
class Tally:
    """What became of one kind of question."""

    requests: int = 0
    failed: int = 0
    wrong: int = 0
    again: int = 0
    """Asked a second time, because the connection of the first was cut."""
    slowest: float = 0.0
    examples: list[str] = field(default_factory=list)
    """Of what failed or was wrong, the first few."""

    def fail(self, what: str) -> None:
        """A question had no answer, or one that it should not have."""
        self.failed += 1
        self._show(what)

    def mistake(self, what: str) -> None:
        """An answer was not what the upstream says."""
        self.wrong += 1
        self._show(what)

    def _show(self, what: str) -> None:
        if len(self.examples) < _EXAMPLES:
            self.examples.append(what)


class Load:
    """What is asked of one stage; ``known`` and ``new`` count what came of it.

    ``fresh`` makes a connection for each request: with it a question whose connection was cut is
    asked once more, on another. Without it nothing is asked twice.
    """

    def __init__(
        self,
        stage: Stage,
        plan: Plan,
        session: aiohttp.ClientSession,
        fresh: aiohttp.ClientSession | None,
    ) -> None:
        self.known, self.new = Tally(), Tally()
        self._fresh = fresh
        self._new_may_get = {ANSWERED}
        self._stage = stage
        self._plan = plan
        self._session = session
        self._under_way: set[asyncio.Task[None]] = set()

    def forget(self) -> None:
        """Count anew, what is asked from now on."""
        self.known, self.new = Tally(), Tally()

    def expect(self, *new_may_get: str) -> None:
        """What becomes of new questions from now on, and of those that are under way."""
        self._new_may_get = set(new_may_get)

    async def ask_known(self) -> None:
        """Ask the known questions in turn, until cancelled."""
        paths = itertools.cycle(KNOWN)
        await self._steadily(self._plan.rate, lambda: self._ask_known(next(paths), self.known))

    async def ask_new(self) -> None:
        """Ask what nobody has asked before, until cancelled."""
        await self._steadily(self._plan.new_rate, lambda: self._ask_new(self.new))

    async def finish(self) -> None:
        """Return when every answer has come, which none may delay for ever."""
        await asyncio.gather(*self._under_way)

    async def new_question(self) -> int:
        """The status of the answer to a question that nobody has asked before."""
        path = f"/players?numToFetch=1&numToSkip={next(_new_numbers)}"
        status, _ = await self._get(path, _NEW_PATIENCE, self.new)
        return status

    async def _steadily(self, rate: float, ask: Callable[[], Coroutine[Any, Any, None]]) -> None:
        began = time.monotonic()
        for number in itertools.count():
            await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
            assert len(self._under_way) < _MOST_UNDER_WAY, "the gateway has stopped answering"
            task = asyncio.create_task(ask())
            self._under_way.add(task)
            task.add_done_callback(self._land)

    def _land(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.known.fail(repr(error))

    async def _ask_known(self, path: str, tally: Tally) -> None:
        life, began = self._stage.life, time.monotonic()
        try:
            status, body = await self._get(path, self._plan.patience, tally)
        except _BROKEN as error:
            if self._stage.life != life or life % 2:
                return  # the gateway itself was away
            status, body = 0, repr(error).encode()
        tally.requests += 1
        tally.slowest = max(tally.slowest, time.monotonic() - began)
        if status != 200:
            tally.fail(f"{path} got {status}: {body[:300]!r}")
        elif body != self._stage.answers[path]:
            tally.mistake(f"{path} got {body[:300]!r}")

    async def _ask_new(self, tally: Tally) -> None:
        life, began, expected = self._stage.life, time.monotonic(), self._new_may_get
        try:
            status = await self.new_question()
        except _BROKEN as error:
            if self._stage.life == life and life % 2 == 0:
                tally.fail(f"a new question: {error!r}")
            return
        seconds = time.monotonic() - began
        tally.requests += 1
        tally.slowest = max(tally.slowest, seconds)
        got = ANSWERED if status == 200 else REFUSED
        if status not in _NEW_STATUSES or got not in expected | self._new_may_get:
            tally.fail(f"a new question got {status} after {seconds:.1f} s")

    async def _get(self, path: str, patience: float, tally: Tally) -> tuple[int, bytes]:
        async with asyncio.timeout(patience):
            try:
                return await self._once(self._session, path)
            except _CUT:
                if self._fresh is None:
                    raise
                tally.again += 1
                return await self._once(self._fresh, path)

    async def _once(self, session: aiohttp.ClientSession, path: str) -> tuple[int, bytes]:
        async with session.get(self._stage.url + path) as response:
            return response.status, await response.read()


@asynccontextmanager
async def under_load(stage: Stage, plan: Plan, *, cuts: bool = False) -> AsyncIterator[Load]:
    """While the block runs, everything is asked; when it ends, every answer has come.

    ``cuts``: connections will break, and what was asked on one may be asked again, once.
    """
    # The gateway closes connections that nobody uses after five seconds.
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=3)
    each_its_own = aiohttp.TCPConnector(limit=0, force_close=True)
    async with (
        aiohttp.ClientSession(connector=connector) as session,
        aiohttp.ClientSession(connector=each_its_own) as fresh,
    ):
        # It would ask again by itself, and nobody would know.
        session._retry_connection = fresh._retry_connection = False
        load = Load(stage, plan, session, fresh if cuts else None)
        askers = [asyncio.create_task(load.ask_known()), asyncio.create_task(load.ask_new())]
        try:
            yield load
        finally:
            for asker in askers:
                asker.cancel()
            ends = await asyncio.gather(*askers, return_exceptions=True)
            await load.finish()
        assert all(isinstance(end, asyncio.CancelledError) for end in ends), ends

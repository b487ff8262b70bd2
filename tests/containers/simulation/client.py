"""The fake engine as a gateway sees it: the methods and errors of ``app.containers.engine``."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TypeVar, cast

from app.containers.engine import CALL_SECONDS, START_SECONDS
from app.containers.observed import EngineError, EngineTimeout, Inspected, Listed
from app.containers.run_log import LogLine
from app.containers.veto import Sample
from tests.containers.simulation.engine import FakeEngine, Reply
from tests.containers.simulation.events import Subscription

T = TypeVar("T")


class Client:
    """The connection of the gateway ``name``."""

    host = "fake"

    def __init__(self, engine: FakeEngine, name: str) -> None:
        self._engine = engine
        self._name = name

    async def list(self, labels: Sequence[str]) -> list[Listed]:
        """All containers."""
        boxes = self._engine.boxes
        return await self._ask(list, CALL_SECONDS, lambda: [box.listed() for box in boxes.values()])

    async def inspect(self, container_id: str) -> Inspected:
        """One container."""
        find = self._engine.find
        return await self._ask(Inspected, CALL_SECONDS, lambda: find(container_id).inspected())

    async def start(self, container_id: str) -> bool:
        """``False`` if it runs already, or is being stopped."""
        engine = self._engine
        return await self._send(
            bool,
            START_SECONDS,
            lambda reply: engine.start(engine.find(container_id), self._name, reply),
        )

    async def stop(self, container_id: str, within: float) -> None:
        """Returns when it is down."""
        engine = self._engine
        await self._send(
            bool, within, lambda reply: engine.stop(engine.find(container_id), self._name, reply)
        )

    async def wait_down(self, container_id: str, within: float) -> bool:
        """Whether it was down within that time."""
        engine = self._engine
        try:
            return await self._send(
                bool, within, lambda reply: engine.when_down(engine.find(container_id), reply)
            )
        except EngineTimeout:
            return False

    async def stats(self, container_id: str, within: float) -> Sample:
        """What it used, by a clock of its host."""
        engine = self._engine

        def sample() -> Sample:
            cpu = engine.find(container_id).cpu_seconds(engine.clock.time())
            return Sample(cpu, 0, engine.clock.wall())

        return await self._ask(Sample, within, sample)

    async def pause(self, container_id: str) -> None:
        """Freeze it."""
        engine = self._engine
        await self._ask(
            object, CALL_SECONDS, lambda: engine.pause(engine.find(container_id), self._name)
        )

    async def unpause(self, container_id: str) -> None:
        """Let it go on."""
        engine = self._engine
        await self._ask(
            object, CALL_SECONDS, lambda: engine.unpause(engine.find(container_id), self._name)
        )

    async def logs(self, container_id: str, since: float, lines: int) -> str:
        """What it wrote since then by the wall clock: ``ready`` once it is."""
        wrote = await self.log_lines(container_id, lines)
        return "\n".join(line.text for line in wrote if line.at > since)

    async def log_lines(self, container_id: str, lines: int) -> Sequence[LogLine]:
        """The last that it wrote."""
        find = self._engine.find
        return await self._ask(list, CALL_SECONDS, lambda: find(container_id).lines[-lines:])

    async def events(self, labels: Sequence[str], since: float | None) -> Subscription:
        """From now on, and since."""
        return await self._ask(Subscription, CALL_SECONDS, lambda: self._engine.subscribe(since))

    async def aclose(self) -> None:
        """There is nothing to let go of."""

    async def _ask(self, kind: type[T], within: float, do: Callable[[], object]) -> T:
        """The engine has the answer as soon as it is asked."""
        if self._engine.is_quick():
            return cast(T, do())
        return await self._send(kind, within, lambda reply: reply(do()), at_once=True)

    async def _send(
        self, kind: type[T], within: float, do: Callable[[Reply], None], *, at_once: bool = False
    ) -> T:
        clock = self._engine.clock
        answer: asyncio.Future[object] = clock.create_future()

        def replied(what: object) -> None:
            if not answer.done():
                answer.set_result(what)

        self._engine.ask(within, replied, do)
        if at_once:
            got = await answer
        else:
            deadline = clock.call_later(within, replied, EngineTimeout("no answer"))
            try:
                got = await answer
            finally:
                deadline.cancel()
        if isinstance(got, EngineError):
            raise got
        return cast(T, got)

"""The right to stop a container that several gateways look after: taken in Redis, after a vote.

Who wants to stop one takes the right first, which only one can have, and renews it as long as the
stop takes. Then it asks everybody who lives. Whoever says yes has closed its gate to the container,
and keeps it closed until the right is gone: given back, or run out because its holder is dead.
Without Redis, or without an answer from each, nothing is stopped.
"""

from __future__ import annotations

import asyncio
import secrets
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Protocol

from app.coordination.company import Company
from app.coordination.lease import Lease
from app.coordination.link import Away, RedisLink
from app.coordination.news import News

LEASE = 5.0
"""Seconds for which the holder of a right need not be heard of."""
VOTE = 1.0
"""Seconds that the others have to answer."""
LOOK_AGAIN = 0.25
"""Seconds after which one who waits for a right to go looks by itself."""
_RECENT = 3.0
"""Seconds for which it is known who lives."""
_PREFIX = "drawbridge:containers"
_MOST = 64
"""Answers under way at once; who gets none is not allowed to stop anything."""


class LetStop(Protocol):
    """Answers another gateway: whether nobody here uses a container, and nobody will until the
    right to stop it is given back. Must not raise or block."""

    def __call__(self, container_id: str, *, wish: bool) -> bool: ...


@dataclass(eq=False)
class _Vote:
    awaited: set[str]
    over: asyncio.Event = field(default_factory=asyncio.Event)
    objected: bool = False


class StopRights:
    """This gateway among all that use the same Redis (``app.containers.peers.Peers``).

    ``join`` it inside the running loop.
    """

    def __init__(self, link: RedisLink) -> None:
        self._link = link
        self._name = secrets.token_hex(6)
        self._channel = f"{_PREFIX}:news"
        self._votes: dict[str, _Vote] = {}
        self._back: dict[str, asyncio.Event] = {}
        self._answers: set[asyncio.Task[None]] = set()
        self._parts = AsyncExitStack()
        self._company: Company | None = None

    async def join(self, let_stop: LetStop) -> None:
        """Begin to answer the others; ``aclose`` ends it."""
        self._let_stop = let_stop
        company = Company(
            self._link, _Quiet(), prefix=_PREFIX, channel=self._channel, name=self._name
        )
        self.news = News(self._link, self._channel, self._hear, on_listening=company.look_now)
        await self._parts.enter_async_context(company)
        await self._parts.enter_async_context(self.news)
        self._company = company

    async def aclose(self) -> None:
        """Leave. What this gateway holds runs out by itself."""
        await self._parts.aclose()
        for answer in self._answers:
            answer.cancel()
        await asyncio.gather(*self._answers, return_exceptions=True)

    @property
    def gateways(self) -> frozenset[str]:
        """The names of those that live, as far as is known."""
        return frozenset() if self._company is None else self._company.names

    async def ask(self, container_id: str, *, wish: bool) -> StopRight | None:
        """The right to stop it, when all others have closed their gates to it; see ``Peers``."""
        right = StopRight(self._link, self._key(container_id), self._channel, container_id)
        try:
            others = self._others()
            if not await right.take():
                return None
            agreed = not others or await self._all_agree(container_id, others, wish)
        except Away:
            # Asleep, it cannot tell what others use: it is woken, and asked the next time.
            self._link.wake()
            agreed = False
        except asyncio.CancelledError:
            # Nobody wants to know any more. Renewed for ever, it would let nobody stop it.
            right.let_run_out()
            raise
        if agreed:
            return right
        await right.give_back()
        return None

    async def given_back(self, container_id: str) -> None:
        """Return when nobody has the right to stop it. While Redis is away nobody can say."""
        back = self._back.setdefault(container_id, asyncio.Event())
        try:
            while await self._is_taken(container_id):
                back.clear()
                waiting = asyncio.ensure_future(back.wait())
                try:
                    await asyncio.wait({waiting}, timeout=LOOK_AGAIN)
                finally:
                    waiting.cancel()
        finally:
            self._back.pop(container_id, None)

    def _others(self) -> frozenset[str]:
        """Those whose answers are needed. Raises ``Away`` if it is not known who they are."""
        company = self._company
        now = asyncio.get_running_loop().time()
        if company is None or now - company.heard_at > _RECENT or not self.news.listening:
            raise Away("it is not known who else is there")
        return company.names - {self._name}

    async def _all_agree(self, container_id: str, others: frozenset[str], wish: bool) -> bool:
        number = secrets.token_hex(8)
        vote = self._votes[number] = _Vote(set(others))
        mode = "wish" if wish else "idle"
        try:
            await self._tell(f"may-stop {number} {container_id} {mode} {self._name}")
            try:
                async with asyncio.timeout(VOTE):
                    await vote.over.wait()
            except TimeoutError:
                return False
            return not vote.objected
        finally:
            del self._votes[number]

    async def _is_taken(self, container_id: str) -> bool:
        try:
            key = self._key(container_id)
            return bool(await self._link.look(lambda: self._link.redis.exists(key)))
        except Away:
            return True

    def _hear(self, first: str, others: list[str]) -> None:
        match first, others:
            case "may-stop", [number, container_id, mode, name] if name != self._name:
                agreed = self._let_stop(container_id, wish=mode == "wish")
                self._answer(f"vote {number} {'yes' if agreed else 'no'} {self._name}")
            case "vote", [number, said, name] if number in self._votes:
                vote = self._votes[number]
                vote.awaited.discard(name)
                vote.objected = vote.objected or said != "yes"
                if vote.objected or not vote.awaited:
                    vote.over.set()
            case "given-back", [container_id] if container_id in self._back:
                self._back[container_id].set()

    def _answer(self, message: str) -> None:
        if len(self._answers) >= _MOST:
            return
        task = asyncio.create_task(self._say(message), name="vote")
        self._answers.add(task)
        task.add_done_callback(self._answers.discard)

    async def _say(self, message: str) -> None:
        try:
            await self._tell(message)
        except Away:
            # Without an answer nothing is stopped.
            return

    async def _tell(self, message: str) -> None:
        await self._link.look(lambda: self._link.redis.publish(self._channel, message))

    def _key(self, container_id: str) -> str:
        return f"{_PREFIX}:stop:{container_id}"


class StopRight:
    """Held, and renewed, from ``take`` until ``give_back``; owns one task meanwhile."""

    def __init__(self, link: RedisLink, key: str, channel: str, container_id: str) -> None:
        self._link = link
        self._channel = channel
        self._container_id = container_id
        self._lease = Lease(link, key, seconds=LEASE)

    @property
    def holds(self) -> bool:
        """Whether it is ours still, and for another moment."""
        return self._lease.holds

    async def take(self) -> bool:
        """Whether it is ours now. Raises ``Away``."""
        return await self._lease.take()

    def let_run_out(self) -> None:
        """Renew it no more."""
        self._lease.let_run_out()

    async def give_back(self) -> None:
        """Have the others look for themselves; if Redis is away, in some seconds."""
        if not await self._lease.give_back():
            return
        told = f"given-back {self._container_id}"
        try:
            await self._link.look(lambda: self._link.redis.publish(self._channel, told))
        except Away:
            return


class _Quiet:
    """Nothing is written to the log of this company, and its size is nobody's concern."""

    def counted(self, processes: int) -> None:
        """Noted by the company itself."""

    def read(self, line: bytes) -> None:
        """There are no lines."""

    def missed(self) -> None:
        """There are no lines."""

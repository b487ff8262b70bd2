"""The right to stop a container that several gateways look after: taken in Redis, after a vote.

Who wants to stop one takes the right first, which only one can have, and renews it as long as the
stop takes. Then it asks everybody who lives. Whoever says yes has closed its gate to the container,
and keeps it closed until the right is gone: given back, or run out because its holder is dead.
Without Redis, or without an answer from each, nothing is stopped.

Who comes meanwhile cannot be overlooked. It first has itself counted, and then looks whose right is
taken; the other first takes the right, and then counts. Whichever is later sees the other.
"""

from __future__ import annotations

import asyncio
import secrets
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, Protocol

from app.coordination.company import Company
from app.coordination.errands import Errands
from app.coordination.lease import Lease
from app.coordination.link import Away, RedisLink
from app.coordination.news import News
from app.waiting import set_within

LEASE = 5.0
"""Seconds for which the holder of a right need not be heard of."""
VOTE = 1.0
"""Seconds that the others have to answer."""
LOOK_AGAIN = 0.25
"""Seconds after which one who waits for a right to go looks by itself."""
_PREFIX = "drawbridge:containers"
_MOST = 64
"""Answers under way at once; who gets none is not allowed to stop anything."""


class Gateway(Protocol):
    """What the others want of this one. Nothing of it may raise or block."""

    def let_stop(self, container_id: str, *, wish: bool) -> bool:
        """Whether nobody here uses it, and nobody will until the right to stop it is given back."""

    def container_ids(self) -> list[str]:
        """Everything that it looks after."""

    def yield_to_stop(self, container_id: str) -> None:
        """Another has the right to stop it, and could not ask: nobody uses it from now on, until
        that right is given back."""


@dataclass(eq=False)
class _Vote:
    awaited: set[str]
    over: asyncio.Event = field(default_factory=asyncio.Event)
    objected: bool = False

    def count(self, said: str, name: str) -> None:
        """Those who have agreed before are not awaited: their gates are closed already."""
        if name in self.awaited:
            self.awaited.discard(name)
            self.objected = self.objected or said != "yes"
            if self.objected or not self.awaited:
                self.over.set()


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
        self._answers = Errands("vote", _MOST)
        self._look: asyncio.Task[None] | None = None
        self._parts = AsyncExitStack()
        self._company: Company | None = None

    async def join(self, gateway: Gateway) -> None:
        """Begin to answer the others; ``aclose`` ends it. Returns when it is known what they are
        about to stop, if Redis answers: let nobody use anything before."""
        self._gateway = gateway
        company = Company(
            self._link,
            _Quiet(),
            prefix=_PREFIX,
            channel=self._channel,
            name=self._name,
            on_entered=self._look_around,
        )
        self.news = News(self._link, self._channel, self._hear, on_listening=company.look_now)
        await self._parts.enter_async_context(company)
        await self._parts.enter_async_context(self.news)
        self._company = company
        await company.tried.wait()
        if self._look is not None:
            await asyncio.wait({self._look}, timeout=VOTE)

    async def aclose(self) -> None:
        """Leave. What this gateway holds runs out by itself."""
        await self._parts.aclose()
        await self._answers.aclose()
        if self._look is not None:
            self._look.cancel()
            await asyncio.gather(self._look, return_exceptions=True)

    @property
    def gateways(self) -> frozenset[str]:
        """The names of those that live, as far as is known."""
        return frozenset() if self._company is None else self._company.names

    async def ask(self, container_id: str, *, wish: bool) -> StopRight | None:
        """The right to stop it, when all others have closed their gates to it; see ``Peers``."""
        token = f"{self._name}:{secrets.token_hex(8)}"
        right = StopRight(self._link, _key(container_id), token, self._channel, container_id)
        try:
            company = await self._settled()
            if not await right.take():
                return None
            agreed = await self._all_agree(company, container_id, wish)
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
            while await self._may_be_stopped(container_id):
                back.clear()
                await set_within(back, LOOK_AGAIN)
        finally:
            self._back.pop(container_id, None)

    async def is_taken(self, container_id: str) -> bool:
        """Whether another gateway has the right to stop it. With Redis away nobody can say: no."""
        try:
            holder = (await self._holders([container_id]))[0]
        except Away:
            return False
        return self._is_another(holder)

    async def _settled(self) -> Company:
        """Those whose answers are needed. Raises ``Away`` if it is not known who they are."""
        if self._company is None or not self.news.listening:
            raise Away("it is not known who else is there")
        await self._company.settle()
        return self._company

    async def _all_agree(self, company: Company, container_id: str, wish: bool) -> bool:
        """Whether everybody says yes in time, those who come meanwhile included."""
        asked = frozenset([self._name])
        try:
            async with asyncio.timeout(VOTE):
                while others := await company.call_the_roll() - asked:
                    if not await self._agree(others, container_id, wish):
                        return False
                    asked |= others
        except TimeoutError:
            return False
        return True

    async def _agree(self, others: frozenset[str], container_id: str, wish: bool) -> bool:
        number = secrets.token_hex(8)
        vote = self._votes[number] = _Vote(set(others))
        mode = "wish" if wish else "idle"
        try:
            await self._tell(f"may-stop {number} {container_id} {mode} {self._name}")
            await vote.over.wait()
            return not vote.objected
        finally:
            del self._votes[number]

    def _look_around(self) -> None:
        """We count from now on. What others were granted before, they did not ask us about."""
        if self._look is not None:
            self._look.cancel()
        self._look = asyncio.create_task(self._yield_to_all(), name="rights of others")

    async def _yield_to_all(self) -> None:
        while True:
            ids = self._gateway.container_ids()
            try:
                holders = await self._holders(ids)
            except Away:
                await asyncio.sleep(LOOK_AGAIN)
                continue
            for container_id, holder in zip(ids, holders, strict=True):
                if self._is_another(holder):
                    self._gateway.yield_to_stop(container_id)
            return

    async def _holders(self, container_ids: list[str]) -> list[Any]:
        """The token under which each is to be stopped, if it is. Raises ``Away``."""
        if not container_ids:
            return []
        keys = [_key(container_id) for container_id in container_ids]
        return await self._link.look(lambda: self._link.redis.mget(keys))

    def _is_another(self, holder: Any) -> bool:
        return isinstance(holder, bytes) and not holder.startswith(self._name.encode())

    async def _may_be_stopped(self, container_id: str) -> bool:
        try:
            return (await self._holders([container_id]))[0] is not None
        except Away:
            return True

    def _hear(self, first: str, others: list[str]) -> None:
        match first, others:
            case "may-stop", [number, container_id, mode, name] if name != self._name:
                agreed = self._gateway.let_stop(container_id, wish=mode == "wish")
                said = "yes" if agreed else "no"
                self._answers.begin(self._say(f"vote {number} {said} {self._name}"))
            case "vote", [number, said, name] if number in self._votes:
                self._votes[number].count(said, name)
            case "given-back", [container_id] if container_id in self._back:
                self._back[container_id].set()

    async def _say(self, message: str) -> None:
        try:
            await self._tell(message)
        except Away:
            # Without an answer nothing is stopped.
            return

    async def _tell(self, message: str) -> None:
        await self._link.look(lambda: self._link.redis.publish(self._channel, message))


class StopRight:
    """Held, and renewed, from ``take`` until ``give_back``; owns one task meanwhile."""

    def __init__(
        self, link: RedisLink, key: str, token: str, channel: str, container_id: str
    ) -> None:
        self._link = link
        self._channel = channel
        self._container_id = container_id
        self._lease = Lease(link, key, seconds=LEASE, token=token)

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


def _key(container_id: str) -> str:
    return f"{_PREFIX}:stop:{container_id}"


class _Quiet:
    """Nothing is written to the log of this company, and its size is nobody's concern."""

    def counted(self, processes: int) -> None:
        """Noted by the company itself."""

    def read(self, line: bytes) -> None:
        """There are no lines."""

    def missed(self) -> None:
        """There are no lines."""

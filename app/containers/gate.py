"""A door that opens when a container is awake: what the response store stands behind."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from app.containers.fleet import Fleet
from app.containers.lifecycle import State
from app.containers.view import FleetEvent


class ContainerGate:
    """The way to whatever container ``provides`` a capability, ``mongodb`` say.

    Where no container has opted in to provide it, or there is no engine to ask, somebody else
    keeps it up: the way is open. While the gate is passed the container is leased.
    """

    def __init__(self, fleet: Fleet, capability: str, *, within: float) -> None:
        self._fleet = fleet
        self._capability = capability
        self._within = within
        self._cause = f"what is kept in {capability}"

    @property
    def is_open(self) -> bool:
        """Whether the container is up now; looking wakes nobody."""
        name = self._guarded()
        return name is None or self._fleet.is_ready(name)

    def enter(self) -> AbstractContextManager[object] | None:
        """A lease if the container is ready now; else ``None``, and it is being woken."""
        name = self._guarded()
        if name is None:
            return nullcontext()
        if self._fleet.is_ready(name):
            return self._fleet.lease(name)
        self._fleet.wake(name, self._cause)
        return None

    async def open(self) -> AbstractContextManager[object]:
        """A lease once the container is ready. Raises ``ContainerError``."""
        name = self._guarded()
        if name is None:
            return nullcontext()
        lease = self._fleet.lease(name)
        try:
            await self._fleet.ready(name, self._within, self._cause)
        except BaseException:
            lease.release()
            raise
        return lease

    async def borrow(self) -> AbstractContextManager[object]:
        """As ``open``, for chores: a container that is up is no longer up for their sake.

        One that sleeps is woken, and is up for its idle time then.
        """
        name = self._guarded()
        if name is not None and self._fleet.is_ready(name):
            return self._fleet.lease(name, is_use=False)
        return await self.open()

    def watch(self, shut: Callable[[], None]) -> None:
        """Have ``shut`` called, quick and without raising, whenever the container cannot be used
        any more, and again before it can: whatever is connected to it may let go.
        """

        def tell(event: FleetEvent) -> None:
            usable = event.state in (State.AWAKE, State.DRAINING)
            if not usable and event.name == self._fleet.provider(self._capability):
                shut()

        self._fleet.watch(tell)

    def _guarded(self) -> str | None:
        return self._fleet.provider(self._capability) if self._fleet.automation.available else None

"""Where a container that is awake can be reached from here."""

from __future__ import annotations

from typing import NamedTuple

from app.containers.engine import Engine
from app.containers.member import Member
from app.containers.observed import EngineError
from app.containers.readiness import tcp_answers
from app.errors import AutomationOff, ContainerFailed

_AGAIN = 5.0


class Address(NamedTuple):
    """One of the container's own addresses, and the port behind its routes."""

    host: str
    port: int


class Addresses:
    """Remembers them for as long as a container is awake: a new run may have others."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._known: dict[str, tuple[tuple[str, float], Address]] = {}

    async def of(self, member: Member, *, anew: bool) -> Address:
        """Where it serves its routes while it is awake; ``anew`` if it did not answer there.

        Raises ``ContainerFailed`` if it has none, ``AutomationOff`` if nobody can say.
        """
        run = (member.container_id, member.ready_at)
        known = self._known.get(member.name)
        if known is None or known[0] != run or anew:
            known = self._known[member.name] = (run, await self._find(member))
        return known[1]

    async def _find(self, member: Member) -> Address:
        try:
            details = await self._engine.inspect(member.container_id)
        except EngineError as error:
            raise AutomationOff(member.name, str(error), retry_after=_AGAIN) from None
        port = member.spec.front_port(details.ports)
        if port is None:
            detail = f"{member.name} exposes no port: name the one to use with drawbridge.port"
            raise ContainerFailed(member.name, detail, retry_after=_AGAIN)
        for host in details.addresses:
            # Of several networks the gateway may share one only.
            if len(details.addresses) == 1 or await tcp_answers(host, port):
                return Address(host, port)
        detail = f"{member.name} has no address at which port {port} answers the gateway"
        raise ContainerFailed(member.name, detail, retry_after=_AGAIN)

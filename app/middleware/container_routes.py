"""Paths that a container serves: woken when somebody comes, passed on to it while it is awake."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from starlette.types import ASGIApp, Receive, Scope, Send

from app.containers.addresses import Address
from app.containers.member import Lease
from app.errors import ContainerError, ContainerFailed
from app.middleware.client_address import CLIENT
from app.middleware.container_gate import in_use
from app.middleware.observe import ROUTE
from app.middleware.waiting_page import waiting_response
from app.proxy.forward import Forwarder
from app.proxy.headers import has_body
from app.proxy.target import Target, Unanswered

GLANCE = 0.4
"""Seconds that a browser waits before it is shown that it does: what was paused is back by then."""
_CAUSE = "a visit"
_RETRY = 5.0


class Servers(Protocol):
    """What is needed of the containers (``app.containers.fleet.Fleet``)."""

    def server_of(self, path: str) -> str | None: ...
    def lease(self, name: str) -> Lease: ...
    async def ready(self, name: str, within: float, cause: str) -> None: ...
    async def address(self, name: str, *, anew: bool = False) -> Address: ...


class ContainerRoutes:
    """Answers what ``servers`` have routes for; everything else goes to the layer behind.

    ``reserved`` are first segments of paths that are the gateway's own, whatever a label says. A
    browser is shown a page while it waits, everybody else waits up to ``within`` seconds.
    """

    def __init__(
        self,
        app: ASGIApp,
        servers: Servers,
        forwarder: Forwarder,
        *,
        reserved: Collection[str],
        within: float,
        silent_after: float,
    ) -> None:
        self._app = app
        self._servers = servers
        self._forwarder = forwarder
        self._reserved = frozenset(reserved)
        self._within = within
        self._silent_after = silent_after

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        name = self._server(scope) if scope["type"] in ("http", "websocket") else None
        if name is None:
            await self._app(scope, receive, send)
            return
        scope[ROUTE] = f"container {name}"
        is_page = wants_page(scope)

        async def forward(scope: Scope, receive: Receive, send: Send) -> None:
            await self._forward(name, scope, receive, send)

        try:
            with self._servers.lease(name) as lease:
                await self._servers.ready(name, GLANCE if is_page else self._within, _CAUSE)
                await in_use(lease, self._silent_after, forward, scope, receive, send)
        except ContainerError as error:
            if scope["type"] == "websocket":
                await _turn_away(scope, send)
            elif is_page:
                await waiting_response(error)(scope, receive, send)
            else:
                raise

    def _server(self, scope: Scope) -> str | None:
        path = scope["path"].rstrip("/")
        first = path[1:].partition("/")[0]
        return None if first in self._reserved else self._servers.server_of(path)

    async def _forward(self, name: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass it on. Raises ``ContainerError`` if nobody answers there."""
        repeatable = scope["type"] == "http" and not has_body(scope["headers"])
        try:
            target = self._target(await self._servers.address(name), scope)
            await self._forwarder.forward(target, scope, receive, send)
        except Unanswered as error:
            # It may have another address than the last time.
            address = await self._servers.address(name, anew=True)
            if not repeatable or (address.host, address.port) == target[:2]:
                detail = f"{name} does not answer at port {target.port}: {error}"
                raise ContainerFailed(name, detail, retry_after=_RETRY) from None
            await self._forward(name, scope, receive, send)

    def _target(self, address: Address, scope: Scope) -> Target:
        state = scope.get("state", {})
        return Target(*address, state.get(CLIENT, "unknown"), state.get("request_id"))


def wants_page(scope: Scope) -> bool:
    """Whether a person looks: a GET that accepts HTML, from a browser's address line."""
    if scope["type"] != "http" or scope["method"] != "GET":
        return False
    return any(name == b"accept" and b"text/html" in value for name, value in scope["headers"])


async def _turn_away(scope: Scope, send: Send) -> None:
    """Refuse a WebSocket, with a status where the server can send one."""
    if "websocket.http.response" in scope.get("extensions", {}):
        start = {"type": "websocket.http.response.start", "status": 503, "headers": []}
        await send({**start, "headers": [(b"retry-after", b"5")]})
        await send({"type": "websocket.http.response.body", "body": b""})
    else:
        await send({"type": "websocket.close", "code": 1013})

"""Holds back a request until the containers that its route needs are awake."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Protocol

from starlette.types import ASGIApp, Receive, Scope, Send


class Gate(Protocol):
    """The way to a container; see ``app/containers/gate.py``."""

    async def open(self) -> AbstractContextManager[object]:
        """A lease once the container is ready. Raises ``ContainerError``."""


class ContainerGate:
    """Hard needs: a path prefix, and the gate that its requests pass.

    The lease is held until the application is done with the request, streams included.
    """

    def __init__(self, app: ASGIApp, needs: Mapping[str, Gate]) -> None:
        self._app = app
        self._needs = dict(needs)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        gate = self._gate(scope["path"]) if scope["type"] in ("http", "websocket") else None
        if gate is None:
            await self._app(scope, receive, send)
            return
        with await gate.open():
            await self._app(scope, receive, send)

    def _gate(self, path: str) -> Gate | None:
        for prefix, gate in self._needs.items():
            if path == prefix or path.startswith(prefix + "/"):
                return gate
        return None

"""Holds back a request until the containers that its route needs are awake."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Protocol

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.containers.member import Lease

SILENT_AFTER = 900.0
_SILENT = (b":", b"id:", b"retry:")


class Gate(Protocol):
    """The way to a container; see ``app/containers/gate.py``."""

    async def open(self) -> AbstractContextManager[object]:
        """A lease once the container is ready. Raises ``ContainerError``."""


class ContainerGate:
    """Hard needs: a path prefix, and the gate that its requests pass.

    The lease is held until the application is done with the request; ``in_use`` says when it
    counts.
    """

    def __init__(
        self, app: ASGIApp, needs: Mapping[str, Gate], *, silent_after: float = SILENT_AFTER
    ) -> None:
        self._app = app
        self._needs = dict(needs)
        self._silent_after = silent_after

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        gate = self._gate(scope["path"]) if scope["type"] in ("http", "websocket") else None
        if gate is None:
            await self._app(scope, receive, send)
            return
        with await gate.open() as use:
            if isinstance(use, Lease):
                await in_use(use, self._silent_after, self._app, scope, receive, send)
            else:
                await self._app(scope, receive, send)

    def _gate(self, path: str) -> Gate | None:
        for prefix, gate in self._needs.items():
            if path == prefix or path.startswith(prefix + "/"):
                return gate
        return None


async def in_use(
    lease: Lease, silent_after: float, app: ASGIApp, scope: Scope, receive: Receive, send: Send
) -> None:
    """Have ``app`` answer while ``lease`` is held.

    Until the answer begins it counts without conditions. A WebSocket, and an answer that is sent
    piece by piece, count for ``silent_after`` seconds after the last byte in either direction: a
    download in progress is use, a forgotten tab is not.
    """
    watched = _Watched(lease, silent_after, receive, send)
    await app(scope, watched.receive, watched.send)


class _Watched:
    """One request: tells its lease what moves."""

    def __init__(self, lease: Lease, silent_after: float, receive: Receive, send: Send) -> None:
        self._lease = lease
        self._silent_after = silent_after
        self._receive = receive
        self._send = send
        self._is_events = False

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] in ("http.request", "websocket.receive"):
            self._lease.touch()
        return message

    async def send(self, message: Message) -> None:
        # Sent, not about to be sent: who does not read on moves no bytes.
        await self._send(message)
        match message["type"]:
            case "http.response.start":
                self._is_events = _is_event_stream(message)
                if self._is_events:
                    self._lease.stream(self._silent_after)
            case "http.response.body" if message.get("more_body"):
                body = message.get("body", b"")
                if body and not (self._is_events and _is_heartbeat(body)):
                    self._lease.stream(self._silent_after)
                    self._lease.touch()
            case "websocket.accept":
                self._lease.stream(self._silent_after)
            case "websocket.send":
                self._lease.touch()


def _is_event_stream(start: Message) -> bool:
    return any(
        name.lower() == b"content-type" and value.startswith(b"text/event-stream")
        for name, value in start.get("headers", ())
    )


def _is_heartbeat(piece: bytes) -> bool:
    """Nothing but comments, sent so that proxies keep the connection: the tab may be forgotten.

    Nor is anybody told anything by where to resume, or when.
    """
    return all(not line or line.startswith(_SILENT) for line in piece.splitlines())

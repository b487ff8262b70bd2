"""Counts every request, and writes the access log."""

from __future__ import annotations

import time
from typing import Protocol

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.metrics import Metrics
from app.middleware.client_address import CLIENT

_log = structlog.get_logger("app.access")
ROUTE = "drawbridge.route"
"""Where in the scope an inner layer leaves the template of the path that it answered."""


class Log(Protocol):
    """Logs a request that was answered."""

    def __call__(
        self,
        route: str,
        method: str,
        path: str,
        status: int,
        seconds: float,
        request_id: str | None,
        client: str | None,
    ) -> None: ...


class Observe:
    """Metrics by route, never by URL; one log line a request where ``access_log`` says so."""

    def __init__(self, app: ASGIApp, metrics: Metrics, *, access_log: bool) -> None:
        self._app = app
        self._metrics = metrics
        self._access_log = access_log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        status = 499

        async def send_and_note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, send_and_note)
        finally:
            seconds, state = time.perf_counter() - began, scope.get("state", {})
            route, method = _route(scope), scope["method"]
            self._metrics.request(route, method, status, seconds)
            if self._access_log:
                request_id, client = state.get("request_id"), state.get(CLIENT)
                _write(route, method, scope["path"], status, seconds, request_id, client)

    @property
    def log(self) -> Log | None:
        """For a layer before this one, which counts by itself; ``None``: there is no access log."""
        return _write if self._access_log else None


def _write(
    route: str,
    method: str,
    path: str,
    status: int,
    seconds: float,
    request_id: str | None,
    client: str | None,
) -> None:
    _log.info(
        "request",
        request_id=request_id,
        method=method,
        path=path,
        route=route,
        status=status,
        ms=round(seconds * 1000, 2),
        client=client,
    )


def _route(scope: Scope) -> str:
    known = scope.get(ROUTE)
    if known is None:
        known = getattr(scope.get("route"), "path", "unknown")
    return str(known)

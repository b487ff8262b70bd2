"""Counts every request, and writes the access log."""

from __future__ import annotations

import time

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.metrics import Metrics
from app.middleware.client_address import CLIENT

_log = structlog.get_logger("app.access")
ROUTE = "drawbridge.route"
"""Where in the scope an inner layer leaves the template of the path that it answered."""


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
            self.note(scope, status, time.perf_counter() - began)

    def note(self, scope: Scope, status: int, seconds: float) -> None:
        """Count and log a request that was answered, here or before this layer."""
        route = _route(scope)
        self._metrics.request(route, scope["method"], status, seconds)
        if self._access_log:
            state = scope.get("state", {})
            _log.info(
                "request",
                request_id=state.get("request_id"),
                method=scope["method"],
                path=scope["path"],
                route=route,
                status=status,
                ms=round(seconds * 1000, 2),
                client=state.get(CLIENT),
            )


def _route(scope: Scope) -> str:
    known = scope.get(ROUTE)
    if known is None:
        known = getattr(scope.get("route"), "path", "unknown")
    return str(known)

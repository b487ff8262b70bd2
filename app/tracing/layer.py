"""The span of a whole request: the outermost layer where tracing is on, and not there elsewhere."""

from __future__ import annotations

from urllib.parse import urlsplit

from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.tracing.spans import Attributes, Tracing, remote

_METHODS = frozenset(
    ["CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"]
)
_UNTRACED = frozenset(["health", "metrics"])
"""First segments of paths that monitors ask for, all the time."""


class RequestSpans:
    """Server spans, by OpenTelemetry's conventions for HTTP; a caller's trace is continued.

    ``route`` and ``client`` are the names under which the scope, and its state, have them. What
    may hold secrets is not told: the query, and all header fields but ``User-Agent``.
    """

    def __init__(self, app: ASGIApp, tracing: Tracing, *, route: str, client: str) -> None:
        self._app = app
        self._tracing = tracing
        self._route = route
        self._client = client

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"][1:].partition("/")[0] in _UNTRACED:
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        parent = remote(headers.get("traceparent"), headers.get("tracestate"))
        method = scope["method"] if scope["method"] in _METHODS else "HTTP"
        attributes = self._attributes(scope, headers)
        kind = SpanKind.SERVER
        with self._tracing.span(method, attributes, kind=kind, parent=parent) as span:

            async def send_and_note(message: Message) -> None:
                if message["type"] == "http.response.start":
                    _note_status(span, message["status"])
                await send(message)

            try:
                await self._app(scope, receive, send_and_note)
            finally:
                self._note_end(span, method, scope)

    def _attributes(self, scope: Scope, headers: Headers) -> Attributes:
        method = scope["method"]
        host, port = _server(headers.get("host", ""))
        told = {
            "http.request.method": method if method in _METHODS else "_OTHER",
            "http.request.method_original": None if method in _METHODS else method,
            "url.path": scope["path"],
            "url.scheme": scope.get("scheme", "http"),
            "network.protocol.version": scope["http_version"],
            "server.address": host,
            "server.port": port,
            "client.address": scope.get("state", {}).get(self._client),
            "user_agent.original": headers.get("user-agent"),
        }
        return {name: value for name, value in told.items() if value}

    def _note_end(self, span: Span, method: str, scope: Scope) -> None:
        route = scope.get(self._route) or getattr(scope.get("route"), "path", None)
        if route is not None:
            span.update_name(f"{method} {route}")
            span.set_attribute("http.route", route)
        request_id = scope.get("state", {}).get("request_id")
        if request_id is not None:
            span.set_attribute("drawbridge.request_id", request_id)


def _server(host: str) -> tuple[str | None, int | None]:
    """Name and port in a ``Host`` field, as far as it makes sense."""
    try:
        parts = urlsplit(f"//{host}")
        port = parts.port
    except ValueError:
        return None, None
    return parts.hostname, port


def _note_status(span: Span, status: int) -> None:
    span.set_attribute("http.response.status_code", status)
    if status >= 500:
        span.set_attribute("error.type", str(status))
        span.set_status(Status(StatusCode.ERROR))

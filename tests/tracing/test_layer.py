"""The span of a request: by the conventions, and without what may be secret."""

from __future__ import annotations

import pytest
from opentelemetry.trace import SpanKind, StatusCode
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from app.tracing.layer import RequestSpans
from tests.middleware.asgi import call, http_scope
from tests.tracing.spans_kept import Kept, keep


def traced(kept: Kept, status: int = 200, route: str | None = "/things/{id}") -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if route is not None:
            scope["test.route"] = route
        scope.setdefault("state", {})["request_id"] = "r-1"
        await PlainTextResponse("hello", status)(scope, receive, send)

    return RequestSpans(app, kept.tracing, route="test.route", client="client")


async def test_a_request_is_told_by_the_conventions() -> None:
    kept = keep()
    headers = [
        (b"host", b"kingdom.example.com:8443"),
        (b"user-agent", b"curl/8"),
        (b"x-api-key", b"hush-1"),
        (b"authorization", b"hush-2"),
        (b"cookie", b"hush-3"),
    ]
    scope = http_scope("/things/7", headers=headers, state={"client": "203.0.113.9"})
    scope["query_string"] = b"token=hush-4"
    await call(traced(kept), scope)
    span = kept.one()
    assert (span.name, span.kind) == ("GET /things/{id}", SpanKind.SERVER)
    assert kept.attributes() == {
        "http.request.method": "GET",
        "url.path": "/things/7",
        "url.scheme": "http",
        "network.protocol.version": "1.1",
        "server.address": "kingdom.example.com",
        "server.port": 8443,
        "client.address": "203.0.113.9",
        "user_agent.original": "curl/8",
        "http.response.status_code": 200,
        "http.route": "/things/{id}",
        "drawbridge.request_id": "r-1",
    }
    assert "hush" not in span.to_json()


@pytest.mark.parametrize(
    ("status", "failed"), [(404, False), (429, False), (500, True), (502, True)]
)
async def test_what_fails_is_what_is_our_fault(status: int, failed: bool) -> None:
    kept = keep()
    await call(traced(kept, status), http_scope())
    assert kept.one().status.is_ok is not failed
    assert kept.attributes().get("error.type") == (str(status) if failed else None)


async def test_a_method_that_is_none_is_not_in_the_name() -> None:
    kept = keep()
    scope = http_scope()
    scope["method"] = "BREW"
    await call(traced(kept, route=None), scope)
    assert kept.one().name == "HTTP"
    told = kept.attributes()
    assert told["http.request.method"] == "_OTHER"
    assert told["http.request.method_original"] == "BREW"


@pytest.mark.parametrize("host", [b"", b"h:", b"h:x", b"[::1]:80"])
async def test_an_odd_host_harms_nothing(host: bytes) -> None:
    kept = keep()
    heard = await call(traced(kept), http_scope(headers=[(b"host", host)]))
    assert heard.status == 200
    assert kept.one().status.status_code is StatusCode.UNSET


@pytest.mark.parametrize("path", ["/health", "/health/live", "/metrics"])
async def test_what_monitors_ask_is_not_traced(path: str) -> None:
    kept = keep()
    await call(traced(kept), http_scope(path=path))
    assert kept.spans() == []


async def test_what_is_not_http_passes() -> None:
    kept = keep()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "seen", "scope": scope["type"]})

    layer = RequestSpans(app, kept.tracing, route="route", client="client")
    heard = await call(layer, {"type": "lifespan"})
    assert heard.messages == [{"type": "seen", "scope": "lifespan"}]
    assert kept.spans() == []

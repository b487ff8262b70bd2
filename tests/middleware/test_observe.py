"""What is counted, and what is logged, of a request."""

from __future__ import annotations

import pytest
import structlog
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from app.metrics import Metrics
from app.middleware.client_address import CLIENT
from app.middleware.observe import ROUTE, Observe
from tests.middleware.asgi import call, http_scope


async def answer(scope: Scope, receive: Receive, send: Send) -> None:
    scope[ROUTE] = "/players/{id}"
    await PlainTextResponse("x", 404)(scope, receive, send)


async def break_down(scope: Scope, receive: Receive, send: Send) -> None:
    raise ValueError("broken")


async def test_requests_are_counted_by_route_never_by_url() -> None:
    metrics = Metrics()
    await call(Observe(answer, metrics, access_log=False), http_scope("/players/77"))
    text = metrics.render().decode()
    assert 'drawbridge_requests_total{method="GET",route="/players/{id}",status="404"} 1.0' in text
    assert "/players/77" not in text


async def test_the_access_log_says_who_asked_what() -> None:
    with structlog.testing.capture_logs() as lines:
        await call(
            Observe(answer, Metrics(), access_log=True),
            http_scope("/players/77", state={CLIENT: "127.0.0.1"}),
        )
    (line,) = lines
    assert (line["method"], line["path"], line["status"]) == ("GET", "/players/77", 404)
    assert line["client"] == "127.0.0.1"


async def test_a_request_that_broke_is_counted_too() -> None:
    metrics = Metrics()
    with pytest.raises(ValueError, match="broken"):
        await call(Observe(break_down, metrics, access_log=False), http_scope("/x"))
    assert 'route="unknown",status="499"} 1.0' in metrics.render().decode()


async def test_odd_methods_share_one_label() -> None:
    metrics = Metrics()
    for method in ("BREW", "WHEN"):
        await call(Observe(answer, metrics, access_log=False), http_scope(method=method))
    assert 'method="other",route="/players/{id}",status="404"} 2.0' in metrics.render().decode()

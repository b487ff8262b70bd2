"""Errors as responses: one shape, everywhere."""

from __future__ import annotations

import inspect

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from app import errors
from app.errors import (
    AutomationOff,
    ContainerFailed,
    ContainerInUse,
    ContainerSlow,
    ContainerUnknown,
    DrawbridgeError,
    RequestRefused,
    SettingsError,
    StoreUnavailable,
    UpstreamRefused,
)
from app.remote import GatewayError
from app.routers.problems import Problems, problem_of
from tests.middleware.asgi import call, http_scope

MEMBERS = {"type", "title", "status", "detail", "instance", "request_id"}


@pytest.mark.parametrize(
    ("error", "status", "retry_after"),
    [
        (RequestRefused(418, "Teapot", "short and stout"), 418, None),
        (UpstreamRefused("busy", status=429, retry_after=7.2), 502, "8"),
        (ContainerUnknown("x", "no x"), 404, None),
        (ContainerSlow("x", "slow", retry_after=2), 504, "2"),
        (ContainerFailed("x", "broken"), 503, "5"),
        (ContainerInUse("x", "in use by 1"), 409, None),
        (AutomationOff("x", "off"), 503, None),
        (AutomationOff("x", "the engine is away", retry_after=5), 503, "5"),
        (StoreUnavailable("gone"), 503, "5"),
        (ZeroDivisionError("secret"), 500, None),
    ],
)
def test_each_error_has_its_status(error: Exception, status: int, retry_after: str | None) -> None:
    problem = problem_of(error)
    assert problem.status == status
    assert problem.headers.get("retry-after") == retry_after
    assert problem.title
    assert "secret" not in problem.detail


def test_every_error_of_ours_has_a_status_on_purpose() -> None:
    at_start_only = {DrawbridgeError, SettingsError}
    for _, kind in inspect.getmembers(errors, inspect.isclass):
        if issubclass(kind, DrawbridgeError) and kind not in at_start_only | {GatewayError}:
            assert problem_of(_any(kind)).status != 500, kind


def _any(kind: type[DrawbridgeError]) -> DrawbridgeError:
    for arguments in ((), ("x",), ("x", "y")):
        for named in ({}, {"status": 503}):
            try:
                return kind(*arguments, **named)
            except TypeError:
                continue
    if issubclass(kind, RequestRefused):
        return kind(400, "a", "b")
    raise AssertionError(f"how is {kind} made?")


async def test_what_breaks_inside_is_a_problem_with_the_requests_id() -> None:
    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        raise ZeroDivisionError("secret")

    heard = await call(Problems(broken), http_scope("/x", state={"request_id": "r1"}))
    assert heard.status == 500
    assert b"secret" not in heard.body
    assert b'"request_id":"r1"' in heard.body


async def test_an_answer_that_has_begun_cannot_become_a_problem() -> None:
    async def half(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await call(Problems(half), http_scope())


@pytest.mark.parametrize(
    ("method", "path", "status", "says"),
    [
        ("GET", "/playrs", 404, "Did you mean /players?"),
        ("GET", "/helth", 404, "Did you mean /health?"),
        ("GET", "/%00", 404, "/docs"),
        ("GET", "/", 404, "/docs"),
        ("POST", "/health", 405, "Method Not Allowed"),
        ("POST", "/players", 405, "/players answers GET"),
        ("GET", "/automation/containers/nobody", 404, "nobody"),
        ("POST", "/automation/containers/nobody/wake", 503, ""),
        ("GET", "/items/" + "x" * 200, 404, "id"),
    ],
)
async def test_every_route_fails_in_the_same_shape(
    method: str, path: str, status: int, says: str, client: httpx.AsyncClient
) -> None:
    response = await client.request(method, path)
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["cache-control"] == "no-store"
    problem = response.json()
    assert set(problem) == MEMBERS
    assert problem["status"] == status
    assert problem["request_id"] == response.headers["x-request-id"]
    assert says in problem["detail"]

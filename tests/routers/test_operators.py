"""Who may operate."""

from __future__ import annotations

from hashlib import sha256

import pytest
from starlette.requests import Request

from app.errors import RequestRefused
from app.operator_keys import OperatorKeys
from app.routers.operators import operators_only
from tests.middleware.asgi import http_scope

DIGEST = sha256(b"open sesame").hexdigest()


def request(client: str | None = "127.0.0.1", **headers: str) -> Request:
    headers = {"host": "127.0.0.1:8000", **headers}
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request(http_scope(headers=raw, client=(client, 1) if client else None))


@pytest.mark.parametrize("client", ["127.0.0.1", "127.8.8.8", "::1"])
def test_without_keys_this_machine_may(client: str) -> None:
    assert operators_only(OperatorKeys())(request(client)) == "operator on loopback"
    operators_only(OperatorKeys())(
        request(client, host="localhost", origin="http://localhost:8000")
    )
    operators_only(OperatorKeys())(request(client, host="[::1]:8000", sec_fetch_site="same-origin"))


@pytest.mark.parametrize(
    "refused",
    [
        request("10.0.0.1"),
        request("testclient"),
        request(None),
        request(x_forwarded_for="127.0.0.1"),
        request(forwarded="for=127.0.0.1"),
        request(sec_fetch_site="cross-site"),
        request(host="rebound.example:8000"),
        request(origin="https://elsewhere.example"),
        request(origin="null"),
    ],
)
def test_without_keys_nobody_else_may(refused: Request) -> None:
    with pytest.raises(RequestRefused) as raised:
        operators_only(OperatorKeys())(refused)
    assert raised.value.status == 403


def test_with_keys_whoever_has_one_may_and_is_told_apart() -> None:
    who = operators_only(OperatorKeys(("0" * 64, DIGEST)))(
        request("10.0.0.1", x_api_key="open sesame")
    )
    assert who == f"operator {DIGEST[:8]}"


@pytest.mark.parametrize("key", ["", "open", DIGEST])
def test_with_keys_nobody_without_may_not_even_here(key: str) -> None:
    with pytest.raises(RequestRefused) as raised:
        operators_only(OperatorKeys((DIGEST,)))(request("127.0.0.1", x_api_key=key))
    assert raised.value.status == 401

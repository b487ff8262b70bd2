"""Pages get nothing from elsewhere; in a real browser in ``tests/routers/test_pages.py``."""

from __future__ import annotations

import pytest
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.middleware.page_policy import PagePolicy
from tests.middleware.asgi import call, http_scope


@pytest.mark.parametrize(
    ("content_type", "guarded"),
    [("text/html; charset=utf-8", True), ("text/html", True), ("application/json", False)],
)
async def test_pages_alone_carry_the_policy(content_type: str, guarded: bool) -> None:
    async def page(scope: Scope, receive: Receive, send: Send) -> None:
        await Response(b"x", media_type=content_type)(scope, receive, send)

    heard = await call(PagePolicy(page), http_scope())
    assert heard.body == b"x"
    assert heard.headers["x-content-type-options"] == "nosniff"
    for name in ("content-security-policy", "referrer-policy"):
        assert (name in heard.headers) is guarded


async def test_a_page_keeps_its_own_policy() -> None:
    async def page(scope: Scope, receive: Receive, send: Send) -> None:
        own = {"content-security-policy": "default-src 'none'"}
        await Response(b"x", headers=own, media_type="text/html")(scope, receive, send)

    heard = await call(PagePolicy(page), http_scope())
    assert heard.headers["content-security-policy"] == "default-src 'none'"
    assert heard.headers["x-content-type-options"] == "nosniff"

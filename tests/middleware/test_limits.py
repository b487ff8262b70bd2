"""Requests that are too large end early."""

from __future__ import annotations

from typing import Any

import pytest

from app.errors import RequestRefused
from app.middleware.limits import RequestLimits
from tests.middleware.asgi import call, echo, http_scope

LIMITED = RequestLimits(echo, max_query=100, max_headers=200, max_body=10)


async def test_what_fits_passes() -> None:
    scope = http_scope(query_string=b"x" * 100, headers=[(b"content-length", b"10")])
    assert (await call(LIMITED, scope, [b"12345", b"67890"])).body == b"1234567890"


@pytest.mark.parametrize(
    ("extra", "status"),
    [
        ({"query_string": b"x" * 101}, 414),
        ({"raw_path": b"/" * 101}, 414),
        ({"headers": [(b"content-length", b"11")]}, 413),
        ({"headers": [(b"cookie", b"x" * 195)]}, 431),
        ({"headers": [(b"cookie", b"x" * 20)] * 8}, 431),
    ],
)
async def test_what_says_that_it_is_too_large_is_refused(
    extra: dict[str, Any], status: int
) -> None:
    with pytest.raises(RequestRefused) as refused:
        await call(LIMITED, http_scope(**extra))
    assert refused.value.status == status


async def test_what_turns_out_too_large_is_refused() -> None:
    with pytest.raises(RequestRefused) as refused:
        await call(LIMITED, http_scope(), [b"123456", b"123456"])
    assert refused.value.status == 413
    assert refused.value.headers == {"connection": "close"}

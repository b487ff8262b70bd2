"""Where a request goes: the same path and query, at another address."""

from __future__ import annotations

import pytest

from app.proxy.target import Target
from tests.middleware.asgi import http_scope


@pytest.mark.parametrize(
    ("host", "path", "query", "url"),
    [
        ("10.0.0.2", "/a", b"", "http://10.0.0.2:3000/a"),
        ("10.0.0.2", "/a%2Fb/%7e", b"x=%20&y", "http://10.0.0.2:3000/a%2Fb/%7e?x=%20&y"),
        ("fd00::2", "/", b"", "http://[fd00::2]:3000/"),
    ],
)
def test_path_and_query_stay_as_they_are(host: str, path: str, query: bytes, url: str) -> None:
    scope = http_scope(path, query_string=query)
    assert str(Target(host, 3000, "c", None).url(scope, "http")) == url

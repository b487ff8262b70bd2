from __future__ import annotations

import pytest

from app.upstream.exchange import SilentObserver
from tests.upstream.conftest import players


@pytest.mark.parametrize(
    "target",
    [
        "/players",
        "/players/",
        "/",
        "/players?tokenIds[]=1&tokenIds[]=2",
        "/players?name=a%20b%23%26+c,d;e:f@g!$'()*~|",
        "//players",
    ],
)
def test_an_encoded_path_and_query_may_be_asked(target: str) -> None:
    assert players(target).target == target


@pytest.mark.parametrize(
    "target",
    [
        "",
        "players",
        "?a=1",
        "/a b",
        "/a#b",
        "/a\r\nHost: x",
        "/a\n",
        "/ä",
        "/a\x00",
        "http://x/",
        '/"',
    ],
)
def test_nothing_else_may(target: str) -> None:
    with pytest.raises(ValueError, match="is not an encoded path"):
        players(target)


@pytest.mark.parametrize("method", ["PUT", "DELETE", "get", "HEAD", ""])
def test_the_upstream_is_only_looked_at(method: str) -> None:
    with pytest.raises(ValueError, match="is not asked of the upstream"):
        players(method=method)


def test_the_silent_observer_takes_whatever_it_is_told() -> None:
    observer = SilentObserver()
    observer.answered("players", 200, 0.1)
    observer.failed("players", "timeout")

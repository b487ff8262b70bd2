"""What is counted, and how requests are told apart."""

from __future__ import annotations

import pytest

from app.sandbox import counts as module
from app.sandbox.counts import Counts, canonical


@pytest.mark.parametrize(
    ("method", "path", "query", "expected"),
    [
        ("GET", "/items", "", "/items"),
        ("HEAD", "/items/", "", "/items"),
        ("GET", "/items", "b=2&a=1", "/items?a=1&b=2"),
        ("GET", "/items", "a[]=2&a[]=1&", "/items?a[]=1&a[]=2"),
        ("POST", "/players/multi", "", "POST /players/multi"),
    ],
)
def test_the_canonical_form(method: str, path: str, query: str, expected: str) -> None:
    assert canonical(method, path, query) == expected


def test_what_is_under_way() -> None:
    counts = Counts()
    with counts.under_way("GET /a", "/a"), counts.under_way("GET /a", "/a?b=1"):
        assert counts.report()["in_flight"] == 2
        counts.reset()
        assert counts.report()["most_in_flight"] == 2
        assert counts.report()["total"] == 0
    with counts.under_way("GET /a", "/a"):
        pass
    report = counts.report()
    assert (report["in_flight"], report["most_in_flight"], report["total"]) == (0, 2, 1)


def test_a_failure_is_counted_and_over() -> None:
    counts = Counts()
    with pytest.raises(OSError, match="gone"), counts.under_way("GET /a", "/a"):
        raise OSError("gone")
    assert counts.report()["in_flight"] == 0
    assert counts.report()["operations"] == {"GET /a": 1}


def test_not_more_targets_than_it_can_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_TARGETS", 2)
    counts = Counts()
    for target in ("/a", "/b", "/c", "/a", "/d"):
        with counts.under_way("GET", target):
            pass
    report = counts.report()
    assert report["targets"] == {"/a": 2, "/b": 1}
    assert report["other_targets"] == 2
    assert report["total"] == 5

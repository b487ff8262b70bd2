"""Spans: current while they are open, told to the log, and silent about the words of errors."""

from __future__ import annotations

import pytest
from opentelemetry.trace import StatusCode

from app.cause import TRACEPARENT, ids
from app.errors import RequestRefused
from app.tracing.spans import is_traced, links_to, remote
from tests.tracing.spans_kept import keep

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{SPAN}-01"


def test_a_span_is_current_while_it_is_open() -> None:
    kept = keep()
    assert not is_traced()
    with kept.tracing.span("outer", {}):
        assert is_traced()
        outer = ids()
        with kept.tracing.span("inner", {"a": 1}):
            assert ids()["trace_id"] == outer["trace_id"]
            assert ids()["span_id"] != outer["span_id"]
        assert ids() == outer
    assert ids() == {}
    inner, outer_span = kept.spans()
    assert inner.parent is not None
    assert f"{inner.parent.span_id:016x}" == outer["span_id"]
    assert outer_span.name == "outer"
    assert dict(inner.attributes or {}) == {"a": 1}


def test_a_callers_trace_is_continued() -> None:
    kept = keep()
    with kept.tracing.span("ours", {}, parent=remote(PARENT, "vendor=1")):
        assert ids()["trace_id"] == TRACE
        assert (TRACEPARENT.get() or "").endswith("-01")
    parent = kept.one().parent
    assert parent is not None
    assert f"{parent.span_id:016x}" == SPAN


@pytest.mark.parametrize("odd", [None, "", "00-0-0-00", f"ff-{TRACE}-{SPAN}-01", "x" * 500])
def test_a_parent_that_makes_no_sense_is_none(odd: str | None) -> None:
    kept = keep()
    with kept.tracing.span("ours", {}, parent=remote(odd)):
        pass
    assert kept.one().parent is None
    assert links_to(odd) == []


def test_a_link_leads_to_what_is_not_the_parent() -> None:
    [link] = links_to(PARENT)
    assert f"{link.context.trace_id:032x}" == TRACE


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ValueError("a secret word"), StatusCode.ERROR),
        (RequestRefused(429, "Too fast", "a secret word"), StatusCode.UNSET),
    ],
)
def test_of_an_error_its_type_is_told(error: Exception, status: StatusCode) -> None:
    kept = keep()
    with pytest.raises(type(error)), kept.tracing.span("ours", {}):
        raise error
    assert kept.attributes() == {"error.type": type(error).__name__}
    assert kept.one().status.status_code is status
    assert "secret" not in kept.one().to_json()


def test_what_is_over_already_took_so_long() -> None:
    kept = keep()
    kept.tracing.past("wake", {"a": "b"}, 1.5, failed=True)
    span = kept.one()
    assert span.start_time is not None
    assert span.end_time is not None
    assert span.end_time - span.start_time == 1_500_000_000
    assert span.status.status_code is StatusCode.ERROR

"""What leaves the process, and how it ends; more of it, with processes, in ``test_story.py``."""

from __future__ import annotations

import time

import pytest

from app import __version__
from app.tracing.exporting import open_exporting
from tests.receivers import Collector


def test_what_waits_is_sent_at_the_end(collector: Collector) -> None:
    tracing = open_exporting(collector.url, "a-service")
    with tracing.span("ours", {"long": "x" * 5000}):
        pass
    tracing.close()
    [span] = collector.spans()
    assert (span.service, span.name) == ("a-service", "ours")
    assert len(span.attributes["long"]) == 1024
    assert __version__.encode() in collector.received[0][2]
    # Once is enough.
    tracing.close()


def test_what_waits_is_sent_when_asked(collector: Collector) -> None:
    tracing = open_exporting(collector.url, "a-service")
    for name in ("one", "two"):
        with tracing.span(name, {}):
            pass
        tracing.flush()
        assert [span.name for span in collector.spans()][-1] == name
    tracing.close()


def test_what_an_operator_sets_wins(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "my-gateway")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=me")
    tracing = open_exporting(f"{collector.url}", "a-service")
    with tracing.span("ours", {}):
        pass
    tracing.close()
    assert [span.service for span in collector.spans()] == ["my-gateway"]
    [(_, fields, body)] = collector.received
    assert fields["x-tenant"] == "me"
    assert b"deployment.environment.name" in body


def test_the_share_of_traces_is_an_operators(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0")
    tracing = open_exporting(collector.url, "a-service")
    with tracing.span("ours", {}):
        pass
    tracing.close()
    assert collector.spans() == []


def test_a_collector_that_hangs_is_not_waited_for(collector: Collector) -> None:
    collector.hangs.set()
    tracing = open_exporting(collector.url, "a-service")
    began = time.monotonic()
    for _ in range(5000):
        with tracing.span("ours", {}):
            pass
    tracing.close()
    # The deadline is two seconds; the exporter's own would be ten.
    assert time.monotonic() - began < 9

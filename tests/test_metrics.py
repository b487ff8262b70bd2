"""The counters carry the contract's names, and belong to one gateway."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily, Metric

from app.metrics import Metrics


def test_what_happened_is_counted_under_the_names_of_the_contract() -> None:
    metrics = Metrics()
    metrics.request("/players", "GET", 200, 0.01)
    metrics.cache("hit", "memory")
    metrics.answered("players", 200, 0.2)
    metrics.failed("players", "timeout")
    metrics.wake_ended("mongodb", "ready", 0.3)
    metrics.slept("mongodb", "idle")
    text = metrics.render().decode()
    for line in (
        'drawbridge_requests_total{method="GET",route="/players",status="200"} 1.0',
        'drawbridge_cache_requests_total{outcome="hit",tier="memory"} 1.0',
        'drawbridge_upstream_requests_total{operation="players",status="timeout"} 1.0',
        "drawbridge_upstream_seconds_count 1.0",
        'drawbridge_container_wakes_total{name="mongodb",outcome="ready"} 1.0',
        'drawbridge_container_wake_seconds_count{name="mongodb"} 1.0',
        'drawbridge_container_sleeps_total{name="mongodb",reason="idle"} 1.0',
    ):
        assert line in text


def test_states_are_read_when_they_are_asked_for() -> None:
    metrics, asked = Metrics(), []

    def states() -> Iterator[Metric]:
        asked.append(1)
        family = GaugeMetricFamily("drawbridge_depth", "How deep.")
        family.add_metric([], len(asked))
        yield family

    metrics.observe_states(states)
    assert asked == []
    assert "drawbridge_depth 1.0" in metrics.render().decode()
    assert "drawbridge_depth 2.0" in metrics.render().decode()


def test_two_gateways_in_one_process_share_no_figures() -> None:
    one, other = Metrics(), Metrics()
    one.cache("hit", "memory")
    assert 'outcome="hit"' not in other.render().decode()

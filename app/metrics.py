"""What is counted: events where they happen, states when Prometheus asks.

The registry belongs to an instance, so that two gateways in one process do not share figures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

_REQUEST_BUCKETS = (0.0005, 0.001, 0.005, 0.025, 0.1, 0.25, 1, 2.5, 10, 60)
_WAKE_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Metrics:
    """The counters of one gateway. Labels are bounded: routes and operations, never URLs."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "drawbridge_requests",
            "Requests answered.",
            ["route", "method", "status"],
            registry=self.registry,
        )
        self._request_seconds = Histogram(
            "drawbridge_request_seconds",
            "Time from request to end of answer.",
            ["route"],
            buckets=_REQUEST_BUCKETS,
            registry=self.registry,
        )
        self._cache = Counter(
            "drawbridge_cache_requests",
            "Questions to the cache, by outcome and the tier that answered.",
            ["outcome", "tier"],
            registry=self.registry,
        )
        self._upstream = Counter(
            "drawbridge_upstream_requests",
            "Calls to the upstream, by status or reason of failure.",
            ["operation", "status"],
            registry=self.registry,
        )
        self._upstream_seconds = Histogram(
            "drawbridge_upstream_seconds",
            "Time of one successful call to the upstream.",
            buckets=_REQUEST_BUCKETS,
            registry=self.registry,
        )
        self._wakes = Counter(
            "drawbridge_container_wakes",
            "Containers woken, by outcome.",
            ["name", "outcome"],
            registry=self.registry,
        )
        self._wake_seconds = Histogram(
            "drawbridge_container_wake_seconds",
            "Time from the wish to readiness.",
            ["name"],
            buckets=_WAKE_BUCKETS,
            registry=self.registry,
        )
        self._sleeps = Counter(
            "drawbridge_container_sleeps",
            "Containers put to sleep, by reason.",
            ["name", "reason"],
            registry=self.registry,
        )

        # Looking a child up by its labels costs more than counting; there are few of them.
        self._request_counter = cache(self._requests.labels)
        self._request_timer = cache(self._request_seconds.labels)
        self._cache_counter = cache(self._cache.labels)

    def request(self, route: str, method: str, status: int, seconds: float) -> None:
        """A request was answered."""
        self._request_counter(route, _known_method(method), status).inc()
        self._request_timer(route).observe(seconds)

    def cache(self, outcome: str, tier: str) -> None:
        """The cache gave an answer."""
        self._cache_counter(outcome, tier).inc()

    def answered(self, label: str, status: int, seconds: float) -> None:
        """The upstream gave an answer (the upstream client's observer)."""
        self._upstream.labels(label, status).inc()
        self._upstream_seconds.observe(seconds)

    def failed(self, label: str, reason: str) -> None:
        """The upstream gave none (the upstream client's observer)."""
        self._upstream.labels(label, reason).inc()

    def wake_ended(self, name: str, outcome: str, seconds: float) -> None:
        """A wake ended (the fleet's observer)."""
        self._wakes.labels(name, outcome).inc()
        self._wake_seconds.labels(name).observe(seconds)

    def slept(self, name: str, reason: str) -> None:
        """A container was put to sleep (the fleet's observer)."""
        self._sleeps.labels(name, reason).inc()

    def observe_states(self, collect: Callable[[], Iterable[Metric]]) -> None:
        """Have ``collect`` called at every scrape, for what is a state and not an event."""
        self.registry.register(_States(collect))

    def render(self) -> bytes:
        """Everything in Prometheus' text format."""
        return generate_latest(self.registry)


class _States(Collector):
    def __init__(self, collect: Callable[[], Iterable[Metric]]) -> None:
        self._collect = collect

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterable[Metric]:
        return self._collect()


def _known_method(method: str) -> str:
    return method if method in {"GET", "HEAD", "POST", "OPTIONS", "PUT", "DELETE"} else "other"

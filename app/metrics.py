"""What is counted: events where they happen, states when Prometheus asks.

The registry belongs to an instance, so that two gateways in one process do not share figures.
Several workers do share them: then they are kept in files that each of them can read, by the
library's own means, and any of them tells the figures of all.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest, values
from prometheus_client.core import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

_CACHE_REQUESTS = "drawbridge_cache_requests"
_REQUEST_BUCKETS = (0.0005, 0.001, 0.005, 0.025, 0.1, 0.25, 1, 2.5, 10, 60)
_SYNC_BUCKETS = (0.5, 1, 2.5, 5, 10, 30, 60, 180, 600, 1800, 3600)
_WAKE_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


@dataclass(frozen=True, slots=True)
class WorkerPlace:
    """One of ``of`` places for processes that serve together: ``number``, from 0.

    Whoever takes the place of one that died has its number, and goes on counting where it
    stopped. What they count meets in ``folder``.
    """

    number: int
    of: int
    folder: Path


class _Times(Histogram):
    """A histogram to which many observations can be added at once."""

    def add_shortest(self, count: int, seconds: float) -> None:
        """``count`` observations of the first bucket, ``seconds`` in all."""
        self._sum.inc(seconds)
        self._buckets[0].inc(count)


class HitCount:
    """Hits that count alike, until the figures are read: counting each of them where Prometheus'
    client keeps its figures costs as much as all the rest of a hit.
    """

    __slots__ = ("_add", "_count", "_seconds")

    def __init__(self, add: Callable[[int, float], None]) -> None:
        self._add = add
        self._count = 0
        self._seconds = 0.0

    def add(self, seconds: float) -> None:
        """One more, which took so long."""
        if seconds <= _REQUEST_BUCKETS[0]:
            self._count += 1
            self._seconds += seconds
        else:
            self._add(1, seconds)

    def settle(self) -> None:
        """Have everything counted in the figures."""
        count, seconds = self._count, self._seconds
        if count:
            self._count, self._seconds = 0, 0.0
            self._add(count, seconds)


class Metrics:
    """The counters of one gateway. Labels are bounded: routes and operations, never URLs.

    With a ``place`` they are those of one worker, and what is told is about all workers.
    """

    def __init__(self, place: WorkerPlace | None = None) -> None:
        self.registry = self._told = CollectorRegistry()
        if place is not None:
            _keep_in_files(place)
            self._told = CollectorRegistry()
            MultiProcessCollector(self._told, str(place.folder))  # type: ignore[no-untyped-call]
        self._requests = self._counter(
            "drawbridge_requests", "Requests answered.", "route", "method", "status"
        )
        self._request_seconds = self._histogram(
            "drawbridge_request_seconds",
            "Time from request to end of answer.",
            "route",
            buckets=_REQUEST_BUCKETS,
        )
        self._cache = self._counter(
            _CACHE_REQUESTS,
            "Questions to the cache, by outcome and the tier that answered.",
            "outcome",
            "tier",
        )
        self._upstream = self._counter(
            "drawbridge_upstream_requests",
            "Calls to the upstream, by status or reason of failure.",
            "operation",
            "status",
        )
        self._upstream_seconds = self._histogram(
            "drawbridge_upstream_seconds",
            "Time of one successful call to the upstream.",
            buckets=_REQUEST_BUCKETS,
        )
        self._wakes = self._counter(
            "drawbridge_container_wakes", "Containers woken, by outcome.", "name", "outcome"
        )
        self._wake_seconds = self._histogram(
            "drawbridge_container_wake_seconds",
            "Time from the wish to readiness.",
            "name",
            buckets=_WAKE_BUCKETS,
        )
        self._sleeps = self._counter(
            "drawbridge_container_sleeps", "Containers put to sleep, by reason.", "name", "reason"
        )
        self._sync_runs = self._counter(
            "drawbridge_sync_runs", "Runs of sync jobs that ended, by outcome.", "job", "outcome"
        )
        self._sync_seconds = self._histogram(
            "drawbridge_sync_seconds", "Time of one run.", "job", buckets=_SYNC_BUCKETS
        )
        self._changes = self._counter("drawbridge_changes", "Changes told, by collection.", "kind")
        self._dropped = self._counter(
            "drawbridge_connections_dropped", "Connections refused or given up.", "reason"
        )
        # Looking a child up by its labels costs more than counting; there are few of them.
        self._request_counter = cache(self._requests.labels)
        self._request_timer = cache(self._request_seconds.labels)
        self._cache_counter = cache(self._cache.labels)
        self._hits: dict[tuple[str, str, int, str, str], HitCount] = {}

    def request(self, route: str, method: str, status: int, seconds: float) -> None:
        """A request was answered."""
        self._request_counter(route, _known_method(method), status).inc()
        self._request_timer(route).observe(seconds)

    def cache(self, outcome: str, tier: str) -> None:
        """The cache gave an answer."""
        self._cache_counter(outcome, tier).inc()

    def hits(self, route: str, method: str, status: int, outcome: str, tier: str) -> HitCount:
        """Where requests are counted that the cache answered so, and nobody else had to do with."""
        kind = (route, _known_method(method), status, outcome, tier)
        known = self._hits.get(kind)
        if known is None:
            known = self._hits[kind] = HitCount(partial(self._add_hits, *kind))
        return known

    def settle(self) -> None:
        """Have in the figures what was counted beside them: before they are read."""
        for hits in self._hits.values():
            hits.settle()

    def _add_hits(
        self,
        route: str,
        method: str,
        status: int,
        outcome: str,
        tier: str,
        count: int,
        seconds: float,
    ) -> None:
        self._request_counter(route, method, status).inc(count)
        self._cache_counter(outcome, tier).inc(count)
        timer = self._request_timer(route)
        if count > 1 or seconds <= _REQUEST_BUCKETS[0]:
            timer.add_shortest(count, seconds)
        else:
            timer.observe(seconds)

    def questions(self) -> float:
        """How many the cache was asked so far: reading it costs those who ask nothing."""
        self.settle()
        return sum(
            sample.value
            for metric in self._cache.collect()
            for sample in metric.samples
            if sample.name.endswith("_total")
        )

    def cache_answers(self) -> dict[str, int]:
        """How many answers the cache gave by outcome, all workers together. Not for every request:
        it reads what a scrape reads."""
        self.settle()
        counts: dict[str, int] = {}
        for metric in self._told.collect():
            if metric.name != _CACHE_REQUESTS:
                continue
            for sample in metric.samples:
                if sample.name.endswith("_total"):
                    outcome = sample.labels["outcome"]
                    counts[outcome] = counts.get(outcome, 0) + int(sample.value)
        return counts

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

    def sync_ended(self, job: str, outcome: str, seconds: float) -> None:
        """A run of a sync job ended: ``good``, ``held`` or ``failed`` (the upkeep's observer)."""
        self._sync_runs.labels(job, outcome).inc()
        self._sync_seconds.labels(job).observe(seconds)

    def published(self, kind: str, count: int) -> None:
        """Changes of a collection were told (the publisher's observer)."""
        self._changes.labels(kind).inc(count)

    def dropped(self, reason: str) -> None:
        """A connection was refused or given up (the clients' observer)."""
        self._dropped.labels(reason).inc()

    def observe_states(self, collect: Callable[[], Iterable[Metric]]) -> None:
        """Have ``collect`` called at every scrape, for what is a state and not an event."""
        self._told.register(_States(collect))

    def render(self) -> bytes:
        """Everything in Prometheus' text format."""
        self.settle()
        return generate_latest(self._told)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, *labels: str, buckets: tuple[float, ...]) -> _Times:
        return _Times(name, text, labels, buckets=buckets, registry=self.registry)


def _keep_in_files(place: WorkerPlace) -> None:
    """Make this process keep what it counts in files of its place.

    The library knows one way of keeping for a whole process, and takes its folder from the
    environment. Left to itself it would name the files by process id: a folder that grows with
    every worker that dies.
    """
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(place.folder)
    values.ValueClass = values.MultiProcessValue(lambda: place.number)  # type: ignore[no-untyped-call]


class _States(Collector):
    def __init__(self, collect: Callable[[], Iterable[Metric]]) -> None:
        self._collect = collect

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterable[Metric]:
        return self._collect()


def _known_method(method: str) -> str:
    return method if method in {"GET", "HEAD", "POST", "OPTIONS", "PUT", "DELETE"} else "other"

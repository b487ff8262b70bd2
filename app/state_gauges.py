"""The gauges: states read from the parts when Prometheus asks, never kept in step by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Protocol

from prometheus_client import ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from app.cache.response_cache import ResponseCache
from app.containers.fleet import Fleet
from app.upstream.client import UpstreamClient

TOGETHER: Mapping[str, Callable[[list[float]], float]] = MappingProxyType(
    {
        "drawbridge_upstream_up": min,
        # The one that schedules knows best.
        "drawbridge_sync_age_seconds": min,
        "drawbridge_upstream_breaker_state": max,
        "drawbridge_upstream_calls_at_once": sum,
        "drawbridge_cache_entries": sum,
        "drawbridge_cache_bytes": sum,
        "drawbridge_store_queue": sum,
        "drawbridge_store_dropped": sum,
        # All workers see the same containers.
        "drawbridge_container_state": max,
        "drawbridge_container_leases": sum,
        "drawbridge_container_awake_seconds": max,
        # What the machine gives to all of them.
        "process_resident_memory_bytes": sum,
        "process_virtual_memory_bytes": sum,
        "process_cpu_seconds": sum,
        "process_start_time_seconds": min,
        # Of the one that is nearest to its limit.
        "process_open_fds": max,
        "process_max_fds": min,
    }
)
"""How the states of several workers become one figure, by family."""


class Jobs(Protocol):
    """The sync jobs (``app.upkeep.Upkeep``)."""

    def ages(self) -> Mapping[str, float]:
        """Seconds since each job brought something last."""


class StateGauges:
    """Turns what the parts say of themselves into Prometheus' families."""

    def __init__(
        self, cache: ResponseCache, upstream: UpstreamClient, fleet: Fleet, jobs: Jobs
    ) -> None:
        self._cache = cache
        self._upstream = upstream
        self._fleet = fleet
        self._jobs = jobs
        self._process = ProcessCollector(registry=None)

    def collect(self) -> Iterable[Metric]:
        """One family after the other."""
        yield from self._cache_families()
        yield from self._container_families()
        yield from self._upstream_families()
        yield from self._sync_families()
        yield from self._process.collect()

    def _sync_families(self) -> Iterator[Metric]:
        age = GaugeMetricFamily(
            "drawbridge_sync_age_seconds", "Since the end of the last good run.", labels=["job"]
        )
        for job, seconds in self._jobs.ages().items():
            age.add_metric([job], seconds)
        yield age

    def _upstream_families(self) -> Iterator[Metric]:
        status = self._upstream.status
        up = GaugeMetricFamily("drawbridge_upstream_up", "1 while the upstream answers.")
        up.add_metric([], float(status.ok))
        yield up
        breaker = GaugeMetricFamily(
            "drawbridge_upstream_breaker_state", "1 for the state it is in.", labels=["state"]
        )
        breaker.add_metric([status.breaker], 1)
        yield breaker
        most = GaugeMetricFamily(
            "drawbridge_upstream_calls_at_once", "Calls that may be under way now."
        )
        most.add_metric([], status.most_at_once)
        yield most

    def _cache_families(self) -> Iterator[Metric]:
        memory = self._cache.memory.stats()
        entries = GaugeMetricFamily("drawbridge_cache_entries", "Entries held.", labels=["tier"])
        entries.add_metric(["memory"], memory.entries)
        yield entries
        size = GaugeMetricFamily("drawbridge_cache_bytes", "Bytes of bodies.", labels=["tier"])
        size.add_metric(["memory"], memory.size)
        yield size
        waiting = GaugeMetricFamily("drawbridge_store_queue", "Answers waiting to be stored.")
        waiting.add_metric([], len(self._cache.writer))
        yield waiting
        dropped = CounterMetricFamily("drawbridge_store_dropped", "Answers never stored.")
        dropped.add_metric([], self._cache.writer.dropped)
        yield dropped

    def _container_families(self) -> Iterator[Metric]:
        state = GaugeMetricFamily(
            "drawbridge_container_state", "1 for the state it is in.", labels=["name", "state"]
        )
        leases = GaugeMetricFamily(
            "drawbridge_container_leases", "Who uses it now.", labels=["name"]
        )
        awake = CounterMetricFamily(
            "drawbridge_container_awake_seconds", "Time spent awake.", labels=["name"]
        )
        for view in self._fleet.views():
            state.add_metric([view.name, view.state], 1)
            leases.add_metric([view.name], view.leases)
            awake.add_metric([view.name], view.awake_seconds)
        yield from (state, leases, awake)

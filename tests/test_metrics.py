"""The counters carry the contract's names, and belong to one gateway."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import values
from prometheus_client.core import GaugeMetricFamily, Metric

from app.metrics import Metrics, WorkerPlace


def test_what_happened_is_counted_under_the_names_of_the_contract() -> None:
    metrics = Metrics()
    metrics.request("/players", "GET", 200, 0.01)
    metrics.cache("hit", "memory")
    metrics.answered("players", 200, 0.2)
    metrics.failed("players", "timeout")
    metrics.wake_ended("mongodb", "ready", 0.3)
    metrics.slept("mongodb", "idle")
    metrics.published("players", 3)
    text = metrics.render().decode()
    for line in (
        'drawbridge_requests_total{method="GET",route="/players",status="200"} 1.0',
        'drawbridge_cache_requests_total{outcome="hit",tier="memory"} 1.0',
        'drawbridge_upstream_requests_total{operation="players",status="timeout"} 1.0',
        "drawbridge_upstream_seconds_count 1.0",
        'drawbridge_container_wakes_total{name="mongodb",outcome="ready"} 1.0',
        'drawbridge_container_wake_seconds_count{name="mongodb"} 1.0',
        'drawbridge_container_sleeps_total{name="mongodb",reason="idle"} 1.0',
        'drawbridge_changes_total{kind="players"} 3.0',
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


@pytest.mark.parametrize(
    "times", [[0.0001], [0.0001, 0.0002, 0.0005], [0.0001, 0.003, 90.0, 0.0004], [2.0]]
)
def test_hits_counted_together_give_the_same_figures(times: list[float]) -> None:
    together, each = Metrics(), Metrics()
    hits = together.hits("/players", "GET", 200, "hit", "memory")
    for seconds in times:
        hits.add(seconds)
        each.request("/players", "GET", 200, seconds)
        each.cache("hit", "memory")
    assert hits is together.hits("/players", "GET", 200, "hit", "memory")
    assert figures(together) == figures(each)
    assert figures(together) == figures(each), "read twice, counted once"


def test_hits_are_among_what_is_asked_of_the_figures() -> None:
    metrics = Metrics()
    metrics.hits("/players", "GET", 200, "hit", "memory").add(0.0001)
    assert metrics.questions() == 1
    metrics.hits("/players", "BREW", 200, "hit", "memory").add(0.0001)
    assert metrics.cache_answers() == {"hit": 2}
    assert 'method="other"' in metrics.render().decode()


def figures(metrics: Metrics) -> dict[str, float]:
    """What is told, without when it was begun to be counted."""
    lines = [line for line in metrics.render().decode().splitlines() if line[0] != "#"]
    told = {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}
    return {name: round(value, 9) for name, value in told.items() if "_created" not in name}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where workers count. That figures are kept in files is undone afterwards."""
    monkeypatch.setattr(values, "ValueClass", values.ValueClass)
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", "")
    yield tmp_path
    values.close_all_multiprocess_files()  # type: ignore[no-untyped-call]


def count(metrics: Metrics, times: int) -> None:
    for _ in range(times):
        metrics.request("/players", "GET", 200, 0.01)
        metrics.cache("hit", "memory")


ASKED = 'drawbridge_requests_total{method="GET",route="/players",status="200"}'


def test_each_worker_tells_what_all_counted(folder: Path) -> None:
    workers = []
    for number, times in enumerate((3, 4)):
        worker = Metrics(WorkerPlace(number, 2, folder))
        count(worker, times)
        workers.append(worker)
    for worker in workers:
        text = worker.render().decode()
        assert f"{ASKED} 7.0" in text
        assert 'drawbridge_request_seconds_count{route="/players"} 7.0' in text
        assert 'drawbridge_request_seconds_bucket{le="0.025",route="/players"} 7.0' in text
        assert 'drawbridge_request_seconds_bucket{le="0.005",route="/players"} 0.0' in text


def test_who_takes_the_place_of_a_dead_worker_counts_on_in_the_same_files(folder: Path) -> None:
    for _ in range(3):
        count(Metrics(WorkerPlace(0, 1, folder)), 2)
    last = Metrics(WorkerPlace(0, 1, folder))
    assert f"{ASKED} 6.0" in last.render().decode()
    assert {file.name for file in folder.iterdir()} == {"counter_0.db", "histogram_0.db"}


def test_several_workers_tell_the_same_families_as_one(folder: Path) -> None:
    def families(metrics: Metrics) -> set[str]:
        count(metrics, 1)
        metrics.answered("players", 200, 0.2)
        metrics.wake_ended("mongodb", "ready", 0.3)
        metrics.slept("mongodb", "idle")
        metrics.sync_ended("players", "good", 1)
        metrics.published("players", 1)
        metrics.dropped("full")
        lines = metrics.render().decode().splitlines()
        return {line for line in lines if line.startswith("#") and "_created" not in line}

    alone = families(Metrics())
    assert families(Metrics(WorkerPlace(0, 2, folder))) == alone


def test_states_are_told_beside_what_the_workers_counted(folder: Path) -> None:
    metrics = Metrics(WorkerPlace(0, 1, folder))
    metrics.observe_states(lambda: [GaugeMetricFamily("drawbridge_depth", "How deep.", 3)])
    count(metrics, 1)
    text = metrics.render().decode()
    assert "drawbridge_depth 3.0" in text
    assert f"{ASKED} 1.0" in text


def test_one_process_keeps_no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    count(Metrics(), 1)
    assert list(tmp_path.iterdir()) == []


def test_all_questions_to_the_cache_are_counted_together() -> None:
    metrics = Metrics()
    assert metrics.questions() == 0
    metrics.cache("hit", "memory")
    metrics.cache("miss", "upstream")
    metrics.cache("hit", "memory")
    assert metrics.questions() == 3


def test_the_answers_of_the_cache_are_told_by_outcome_those_of_all_workers(folder: Path) -> None:
    one, other = (Metrics(WorkerPlace(number, 2, folder)) for number in (0, 1))
    assert other.cache_answers() == {}
    one.cache("hit", "memory")
    one.cache("hit", "store")
    other.cache("hit", "memory")
    other.cache("miss", "upstream")
    assert one.cache_answers() == other.cache_answers() == {"hit": 3, "miss": 1}


def test_the_answers_of_one_process_are_told_by_outcome() -> None:
    metrics = Metrics()
    metrics.cache("hit", "memory")
    metrics.cache("hit", "store")
    metrics.cache("stale-error", "store")
    assert metrics.cache_answers() == {"hit": 2, "stale-error": 1}

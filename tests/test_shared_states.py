"""States of several workers as one: put together by rule, and nobody's when nobody tells them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.parser import text_string_to_metric_families

import app.shared_states
from app.metrics import Metrics, WorkerPlace
from app.shared_states import FORGOTTEN_AFTER, Family, SharedStates, together
from app.state_gauges import TOGETHER
from tests.gateways import gateway_on
from tests.waiting import until

RULES: dict[str, Callable[[list[float]], float]] = {"depth": sum, "well": min, "dropped": sum}


class Part:
    """Something with states, some of them counted."""

    def __init__(self, depth: float = 0, dropped: float = 0) -> None:
        self.depth = depth
        self.dropped = dropped

    def collect(self) -> Iterable[Metric]:
        depth = GaugeMetricFamily("depth", "How deep.", labels=["tier"])
        depth.add_metric(["memory"], self.depth)
        dropped = CounterMetricFamily("dropped", "How many.")
        dropped.add_metric([], self.dropped)
        return [depth, dropped]


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def figures(metrics: Iterable[Metric]) -> dict[str, float]:
    return {sample.name: sample.value for metric in metrics for sample in metric.samples}


def states(folder: Path, number: int, part: Part, clock: Clock, of: int = 2) -> SharedStates:
    return SharedStates(WorkerPlace(number, of, folder), part.collect, RULES, clock=clock)


@pytest.mark.parametrize(
    ("name", "values", "one"), [("depth", [1.0, 2.0], 3.0), ("well", [1.0, 0.0], 0.0)]
)
def test_the_rule_of_the_family_makes_one_figure(
    name: str, values: list[float], one: float
) -> None:
    key = (name, (("tier", "memory"),))
    told = [[Family(name, "gauge", "Help.", {key: value})] for value in values]
    [metric] = together(told, RULES)
    [sample] = metric.samples
    assert (metric.name, metric.type, metric.documentation) == (name, "gauge", "Help.")
    assert (sample.name, sample.labels, sample.value) == (name, {"tier": "memory"}, one)


def test_what_only_one_worker_knows_is_told() -> None:
    one, other = (("depth", (("tier", tier),)) for tier in ("memory", "disk"))
    told = [[Family("depth", "gauge", "", {key: 1.0})] for key in (one, other)]
    [metric] = together(told, RULES)
    assert {sample.labels["tier"] for sample in metric.samples} == {"memory", "disk"}


async def test_each_worker_tells_the_states_of_all(tmp_path: Path) -> None:
    clock, one, other = Clock(), Part(depth=1), Part(depth=20)
    async with states(tmp_path, 0, one, clock) as first, states(tmp_path, 1, other, clock) as last:
        assert figures(first.collect())["depth"] == 21
        assert figures(last.collect())["depth"] == 21
        one.depth = 5  # its own it knows at once
        assert figures(first.collect())["depth"] == 25


async def test_what_is_counted_does_not_fall_back_when_another_is_asked(tmp_path: Path) -> None:
    clock, one, other = Clock(), Part(dropped=1), Part(dropped=10)
    async with states(tmp_path, 0, one, clock) as first, states(tmp_path, 1, other, clock) as last:
        one.dropped, told = 4, []
        for _ in range(2):
            told += [figures(asked.collect())["dropped_total"] for asked in (first, last)]
            first._write()
        assert told == [11, 11, 14, 14]


async def test_states_are_written_down_again_and_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app.shared_states, "_EVERY", 0.01)
    clock, one, other = Clock(), Part(depth=1), Part()
    async with states(tmp_path, 0, one, clock), states(tmp_path, 1, other, clock) as last:
        one.depth = 7
        await until(lambda: figures(last.collect())["depth"] == 7)


async def test_the_states_of_a_dead_worker_are_forgotten_but_not_what_it_counted(
    tmp_path: Path,
) -> None:
    clock, dead = Clock(), Part(depth=10, dropped=3)
    async with states(tmp_path, 1, dead, clock):
        pass
    living = states(tmp_path, 0, Part(depth=1, dropped=1), clock)
    clock.now += FORGOTTEN_AFTER
    assert figures(living.collect()) == {"depth": 11, "dropped_total": 4}
    clock.now += 0.1
    assert figures(living.collect()) == {"depth": 1, "dropped_total": 4}


async def test_who_takes_the_place_of_a_dead_worker_counts_on(tmp_path: Path) -> None:
    clock, asked = Clock(), states(tmp_path, 0, Part(), Clock())
    for _ in range(3):
        async with states(tmp_path, 1, Part(depth=10, dropped=2), clock):
            pass
    assert figures(asked.collect()) == {"depth": 10, "dropped_total": 6}


async def test_a_folder_that_cannot_be_written_harms_nobody(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "gone"
    async with states(folder, 0, Part(depth=4), Clock()) as alone:
        alone._write()
        assert figures(alone.collect())["depth"] == 4
    assert capsys.readouterr().out.count("other workers do not learn") == 1


async def test_every_state_of_a_gateway_has_a_rule(tmp_path: Path) -> None:
    async with gateway_on("http://127.0.0.1:9", tmp_path) as client:
        text = (await client.get("/metrics")).text
    counted = {metric.name for metric in Metrics().registry.collect()}
    families = {
        family.name
        for family in text_string_to_metric_families(text)
        if not family.name.endswith("_created")
    }
    assert families - counted == set(TOGETHER)

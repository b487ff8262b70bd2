"""The dashboards: what Grafana reads is what people wrote, and every expression is one."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from pathlib import Path

import pytest
from generate_dashboards import PLAIN, Dashboard, dashboards, pages

from tests.monitoring.files import PROMETHEUS, ROOT, Expression, alerts, expressions, read
from tests.monitoring.promql import use

GRAFANA = ROOT / "monitoring" / "grafana"
UNITS = {"none", "short", "s", "bytes", "percentunit", "reqps", "bool_yes_no"}
"""Grafana's names of those that are used."""
each_dashboard = pytest.mark.parametrize("dashboard", dashboards(), ids=lambda one: one.uid)


@pytest.mark.parametrize(("path", "text"), pages().items(), ids=lambda part: str(part)[-20:])
def test_what_is_generated_is_current(path: Path, text: str) -> None:
    assert path.read_text(encoding="utf-8") == text, "run `make dashboards`"


def test_nothing_else_is_in_the_folder() -> None:
    assert set((GRAFANA / "dashboards").iterdir()) == pages().keys()


@each_dashboard
def test_panels_have_units_and_words_and_limits(dashboard: Dashboard) -> None:
    assert any(panel.thresholds != PLAIN for panel in dashboard.panels)
    for panel in dashboard.panels:
        assert panel.unit in UNITS, panel.title
        assert panel.description.endswith("."), panel.title
        starts = [start for start in panel.thresholds if start != "base"]
        assert next(iter(panel.thresholds)) == "base", panel.title
        assert all(float(one) < float(next_) for one, next_ in pairwise(starts)), panel.title


@each_dashboard
def test_panels_do_not_lie_on_one_another(dashboard: Dashboard) -> None:
    path = GRAFANA / "dashboards" / f"{dashboard.uid}.json"
    taken: set[tuple[int, int]] = set()
    for panel in json.loads(path.read_text(encoding="utf-8"))["panels"]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells


def test_red_begins_where_an_alert_does() -> None:
    limits = {}
    for rule in alerts().values():
        for name, limit in re.findall(
            r"^(\S+?)(?:\{.*\})? > ([\d.e]+)$", rule["expr"], re.MULTILINE
        ):
            limits[name] = float(limit)
    compared = 0
    for dashboard in dashboards():
        for panel in dashboard.panels:
            names = {name for query in panel.queries for name in _asked(query.expr)}
            for name in names & limits.keys():
                compared += 1
                assert limits[name] in _numbers(panel.thresholds), panel.title
    assert compared >= 5


def _asked(expression: str) -> set[str]:
    text = expression.replace("$__rate_interval", "1m").replace("$__range_s", "1")
    return set(use(text.replace("$__range", "1m")).matched)


def _numbers(thresholds: object) -> set[float]:
    assert isinstance(thresholds, dict)
    return {float(start) for start in thresholds if start != "base"}


@pytest.mark.parametrize("expression", list(expressions()), ids=str)
def test_every_expression_is_one_and_asks_for_known_records(expression: Expression) -> None:
    recorded = {
        rule["record"]
        for group in read(PROMETHEUS / "rules" / "recording.yml")["groups"]
        for rule in group["rules"]
    }
    named = use(expression.text).matched
    assert {name for name in named if ":" in name} <= recorded


def test_the_datasource_is_where_compose_has_it() -> None:
    told = read(GRAFANA / "provisioning" / "datasources" / "drawbridge.yml")
    assert {one["type"]: one["url"] for one in told["datasources"]} == {
        "prometheus": "http://prometheus:9090",
        "alertmanager": "http://alertmanager:9093",
    }
    [provider] = read(GRAFANA / "provisioning" / "dashboards" / "drawbridge.yml")["providers"]
    assert provider["options"]["path"] == "/var/lib/grafana/dashboards"

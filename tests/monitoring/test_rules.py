"""Prometheus' own tool reads the rules, and each alert is tried with it."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from app.sync.job import JOBS
from tests.monitoring.files import PROMETHEUS, ROOT, alerts, page_of, read, rules, tool

pytestmark = pytest.mark.real("prometheus")
TESTS = sorted((PROMETHEUS / "tests").glob("*.yml"))
each_alert = pytest.mark.parametrize("name", alerts())


def test_prometheus_takes_the_configuration() -> None:
    told = tool("promtool", "check", "config", "prometheus.yml")
    assert "2 rule files found" in told


def test_prometheus_takes_the_rules() -> None:
    told = tool("promtool", "check", "rules", "rules/alerts.yml", "rules/recording.yml")
    assert f"{len(alerts())} rules found" in told


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.stem)
def test_alerts_fire_when_they_should_and_only_then(path: Path) -> None:
    assert "SUCCESS" in tool("promtool", "test", "rules", str(path))


def test_a_rule_that_is_wrong_would_be_seen(tmp_path: Path) -> None:
    text = (PROMETHEUS / "tests" / "upstream.yml").read_text(encoding="utf-8")
    text = text.replace("../rules/*.yml", f"{PROMETHEUS}/rules/*.yml")
    broken = tmp_path / "upstream.yml"
    broken.write_text(text.replace("'1x5 0x2 1x5 0x10'", "'1x22'"), encoding="utf-8")
    with pytest.raises(AssertionError, match="UpstreamFailing"):
        tool("promtool", "test", "rules", str(broken))


def tried() -> dict[str, list[list[dict[str, Any]]]]:
    """By alert, what is expected of it at each time at which it is looked at."""
    expected: dict[str, list[list[dict[str, Any]]]] = defaultdict(list)
    for path in TESTS:
        for test in read(path)["tests"]:
            for one in test["promql_expr_test"]:
                [name] = re.findall(r'alertname="(\w+)"', one["expr"])
                expected[name].append(one["exp_samples"])
    return expected


@each_alert
def test_each_alert_is_tried_firing_and_silent(name: str) -> None:
    looks = tried()[name]
    assert any(looks), "no test sees it fire"
    assert not all(looks), "no test sees it silent"


@each_alert
def test_each_alert_says_what_it_is_with_labels_that_it_has(name: str) -> None:
    rule = alerts()[name]
    assert rule["labels"]["severity"] in {"critical", "warning"}
    told = rule["annotations"]
    assert {"summary", "description", "runbook"} == set(told)
    named = set(re.findall(r"\$labels\.(\w+)", " ".join(told.values())))
    for samples in filter(None, tried()[name]):
        for sample in samples:
            assert named <= set(re.findall(r'(\w+)="', sample["labels"]))


@each_alert
def test_each_alert_has_its_page(name: str) -> None:
    rule = alerts()[name]
    assert rule["annotations"]["runbook"] == page_of(name)
    text = (ROOT / page_of(name)).read_text(encoding="utf-8")
    assert text.startswith(f"# {name}\n")
    for part in ("**What it means.**", "**What to look at", "hat to do.**"):
        assert part in text
    listed = (ROOT / "docs" / "monitoring.md").read_text(encoding="utf-8")
    page = page_of(name).removeprefix("docs/")
    assert f"| [{name}]({page}) | {rule['labels']['severity']} |" in listed


def test_no_page_is_left_of_an_alert_that_is_gone() -> None:
    pages = {f"docs/runbooks/{path.name}" for path in (ROOT / "docs" / "runbooks").iterdir()}
    assert pages == {page_of(name) for name in alerts()}


def test_rows_may_be_as_old_as_two_of_their_longest_cadences() -> None:
    limits = {
        rule["labels"]["exported_job"]: rule["expr"]
        for rule in rules()
        if rule.get("record") == "drawbridge:sync_age_limit_seconds"
    }
    wanted = {job.name: f"vector({2 * max(job.every, job.quiet):.0f})" for job in JOBS.values()}
    assert limits == wanted

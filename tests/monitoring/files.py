"""What stands in ``monitoring/``, as the tests read it."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from generate_dashboards import dashboards

from tests.real.require import find_binary, unavailable

ROOT = Path(__file__).parents[2]
PROMETHEUS = ROOT / "monitoring" / "prometheus"
ALERTMANAGER = ROOT / "monitoring" / "alertmanager" / "alertmanager.yml"


def read(path: Path) -> Any:
    """The content of a YAML file."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def rules() -> list[dict[str, Any]]:
    """Every rule, recording and alerting."""
    files = sorted((PROMETHEUS / "rules").glob("*.yml"))
    return [rule for file in files for group in read(file)["groups"] for rule in group["rules"]]


def alerts() -> dict[str, dict[str, Any]]:
    """The alerting rules by name."""
    return {rule["alert"]: rule for rule in rules() if "alert" in rule}


def page_of(alert: str) -> str:
    """Where the runbook of an alert is to be: ``NoGateway`` in ``no-gateway.md``."""
    words = re.sub(r"(?<!^)(?=[A-Z])", "-", alert).lower()
    return f"docs/runbooks/{words}.md"


@dataclass(frozen=True)
class Expression:
    """A PromQL expression and where it stands."""

    where: str
    text: str

    def __str__(self) -> str:
        return self.where


def expressions() -> Iterator[Expression]:
    """Every one that is used; Grafana's variables have the values that Grafana would give."""
    for rule in rules():
        labels = ",".join(rule["labels"].values()) if "record" in rule and "labels" in rule else ""
        yield Expression(f"{rule.get('alert') or rule['record']} {labels}".strip(), rule["expr"])
    for dashboard in dashboards():
        for panel in dashboard.panels:
            for query in panel.queries:
                where = f"{dashboard.title} / {panel.title} / {query.legend}"
                yield Expression(where, without_variables(query.expr))


def without_variables(expression: str) -> str:
    """As Grafana would send it, for all gateways and an hour."""
    values = {"$__rate_interval": "1m", "$__range_s": "3600", "$__range": "1h", "$instance": ".+"}
    for variable, value in values.items():
        expression = expression.replace(variable, value)
    assert "$" not in expression, expression
    return expression


def tool(name: str, *arguments: str) -> str:
    """What one of Prometheus' tools says; a failed assertion when it is not content."""
    program = find_binary(name)
    if program is None:
        unavailable("prometheus", f"there is no {name}")
    done = subprocess.run(
        [program, *arguments],
        cwd=PROMETHEUS,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout

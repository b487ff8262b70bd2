"""Write Grafana's dashboards from ``monitoring/grafana/dashboards.yml``.

Run it with ``make dashboards`` whenever that changed; a test says when it was forgotten.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "monitoring" / "grafana"
PLAIN: Mapping[str | float, str] = {"base": "green"}
"""The thresholds of a figure that is neither good nor bad."""
_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
_COLUMNS = 24
_SIZES = {"stat": (6, 4), "lines": (12, 8), "states": (12, 8)}
"""Columns and rows that a kind of panel takes."""
_TYPES = {"stat": "stat", "lines": "timeseries", "states": "state-timeline"}
"""What Grafana calls it."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Query(_Strict):
    """What Prometheus is asked, and what its answer is called in the legend."""

    expr: str
    legend: str


class Panel(_Strict):
    """See the top of the file that they are read from."""

    title: str
    kind: Literal["stat", "lines", "states"]
    unit: str
    description: str = Field(min_length=20)
    thresholds: Mapping[str | float, str] = Field(default=PLAIN)
    queries: Sequence[Query] = Field(min_length=1)


class Dashboard(_Strict):
    """``uid`` is its address in Grafana and the name of its file."""

    uid: str
    title: str
    description: str
    panels: Sequence[Panel]


def dashboards() -> list[Dashboard]:
    """All of them. Raises ``ValidationError`` for what is misspelt or missing."""
    text = (FOLDER / "dashboards.yml").read_text(encoding="utf-8")
    return [Dashboard.model_validate(one) for one in yaml.safe_load(text)]


def render(dashboard: Dashboard) -> str:
    """The file that Grafana reads."""
    panels, places = [], _places([panel.kind for panel in dashboard.panels])
    for number, (panel, place) in enumerate(zip(dashboard.panels, places, strict=True), 1):
        panels.append({"id": number, "gridPos": place, **_panel(panel)})
    model = {
        "uid": dashboard.uid,
        "title": dashboard.title,
        "description": dashboard.description,
        "tags": ["drawbridge"],
        "schemaVersion": 39,
        "editable": False,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": _variables()},
        "links": [
            {"type": "dashboards", "title": "Drawbridge", "tags": ["drawbridge"], "keepTime": True}
        ],
        "panels": panels,
    }
    return json.dumps(model, indent=2) + "\n"


def _places(kinds: Sequence[str]) -> list[dict[str, int]]:
    """From left to right; a new row where the kind changes or nothing more fits."""
    places: list[dict[str, int]] = []
    x = y = height = 0
    for kind in kinds:
        wide, high = _SIZES[kind]
        if x + wide > _COLUMNS or (height and high != height):
            x, y = 0, y + height
        places.append({"x": x, "y": y, "w": wide, "h": high})
        x, height = x + wide, high
    return places


def _panel(panel: Panel) -> dict[str, Any]:
    steps = [
        {"color": colour, "value": None if start == "base" else float(start)}
        for start, colour in panel.thresholds.items()
    ]
    has_limits = len(steps) > 1
    custom: dict[str, Any] = {}
    if panel.kind == "lines":
        custom = {"fillOpacity": 8, "showPoints": "never"}
        custom["thresholdsStyle"] = {"mode": "dashed" if has_limits else "off"}
    return {
        "type": _TYPES[panel.kind],
        "title": panel.title,
        "description": panel.description,
        "datasource": _SOURCE,
        "fieldConfig": {
            "defaults": {
                "unit": panel.unit,
                "min": 0,
                "custom": custom,
                "thresholds": {"mode": "absolute", "steps": steps},
            },
            "overrides": [],
        },
        "options": _options(panel.kind),
        "targets": [
            {
                "refId": chr(ord("A") + number),
                "datasource": _SOURCE,
                "expr": query.expr,
                "legendFormat": query.legend,
            }
            for number, query in enumerate(panel.queries)
        ],
    }


def _options(kind: str) -> dict[str, Any]:
    if kind == "stat":
        return {"colorMode": "value", "reduceOptions": {"calcs": ["lastNotNull"]}}
    if kind == "states":
        return {"showValue": "never", "mergeValues": True, "legend": {"showLegend": False}}
    legend = {"displayMode": "list", "placement": "bottom", "showLegend": True}
    return {"legend": legend, "tooltip": {"mode": "multi", "sort": "desc"}}


def _variables() -> list[dict[str, Any]]:
    instances = 'label_values(up{job="drawbridge"}, instance)'
    return [
        {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"},
        {
            "name": "instance",
            "label": "Gateway",
            "type": "query",
            "datasource": _SOURCE,
            "query": {"query": instances, "refId": "instances"},
            "refresh": 2,
            "multi": True,
            "includeAll": True,
            "allValue": ".+",
            "current": {"text": "All", "value": "$__all"},
        },
    ]


def pages() -> dict[Path, str]:
    """Each generated file with what should stand in it."""
    folder = FOLDER / "dashboards"
    return {folder / f"{one.uid}.json": render(one) for one in dashboards()}


if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
        print(f"wrote {path.relative_to(ROOT)}")

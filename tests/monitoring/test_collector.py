"""The collector's configuration: whole in itself, and what gateways are told of it."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import yaml

from tests.monitoring.files import ROOT
from tests.test_docs import page

FILE = ROOT / "monitoring" / "otel-collector.yml"


def configuration() -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    return read


def test_each_pipeline_is_made_of_what_is_configured_and_all_of_it_is_used() -> None:
    read = configuration()
    pipelines = read["service"]["pipelines"].values()
    for part in ("receivers", "processors", "exporters"):
        used = {name for pipeline in pipelines for name in pipeline[part]}
        assert used == read[part].keys(), part


def test_memory_is_looked_at_before_anything_else() -> None:
    for pipeline in configuration()["service"]["pipelines"].values():
        assert pipeline["processors"][0] == "memory_limiter"
        assert pipeline["processors"][-1] == "batch"


def test_it_listens_where_the_guide_says() -> None:
    [(protocol, listening)] = configuration()["receivers"]["otlp"]["protocols"].items()
    assert protocol == "http"
    port = urlsplit(f"//{listening['endpoint']}").port
    assert f"OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:{port} " in page("how-to/tracing.md")

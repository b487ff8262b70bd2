"""Tracing whose spans are kept here instead of sent, for tests of what they say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from app.tracing.spans import Tracing


@dataclass
class Kept:
    """``tracing``, and the spans that it made and that are over."""

    tracing: Tracing
    exporter: InMemorySpanExporter

    def spans(self) -> list[ReadableSpan]:
        return list(self.exporter.get_finished_spans())

    def one(self) -> ReadableSpan:
        [span] = self.spans()
        return span

    def attributes(self) -> dict[str, Any]:
        return dict(self.one().attributes or {})


def keep() -> Kept:
    """Tracing that samples everything."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing = Tracing(provider.get_tracer("test"), flush=lambda: None, close=lambda: None)
    return Kept(tracing, exporter)

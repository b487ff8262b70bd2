"""The SDK: which spans are kept, where they wait, and how they leave. Loaded only where needed.

What an operator may set beside the endpoint (sampler, resource, headers, batches) the SDK reads
itself, from OpenTelemetry's own variables.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from threading import Thread

import structlog
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from app import __version__
from app.tracing.spans import Tracing

_log = structlog.get_logger(__name__)
PATIENCE = 2.0
"""Seconds that what waits has to be sent when its process, or its job, ends."""
_LONGEST = 1024
"""Characters of a value; who asks chooses some of them."""


def open_exporting(endpoint: str, service: str) -> Tracing:
    """Tracing to the collector at ``endpoint``, the base URL of its OTLP by HTTP.

    Spans wait in a queue with a bound, and are sent by a thread of their own: a collector that is
    slow, deaf or gone costs spans, and nothing else.
    """
    # It says the same for every batch; we say it once.
    logging.getLogger("opentelemetry.exporter").setLevel(logging.CRITICAL)
    exporter = _TellingExporter(OTLPSpanExporter(endpoint=f"{endpoint}/v1/traces"))
    provider = TracerProvider(
        resource=_resource(service),
        span_limits=SpanLimits(max_span_attribute_length=_LONGEST),
        shutdown_on_exit=False,
    )
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return Tracing(
        provider.get_tracer("drawbridge", __version__),
        flush=lambda: _in_time(provider.force_flush),
        close=lambda: _in_time(provider.shutdown),
    )


def takes_spans(endpoint: str) -> bool:
    """Whether a collector answers there, asked to take none. Blocks for some seconds at most."""
    logging.getLogger("opentelemetry.exporter").setLevel(logging.CRITICAL)
    exporter = OTLPSpanExporter(endpoint=f"{endpoint}/v1/traces", timeout=PATIENCE)
    return exporter.export([]) is SpanExportResult.SUCCESS


def _resource(service: str) -> Resource:
    ours = Resource.create({"service.name": service, "service.version": __version__})
    # Once more, so that what an operator sets wins.
    return ours.merge(OTELResourceDetector().detect())


def _in_time(work: Callable[[], object]) -> None:
    """Do ``work``, for as long as there is patience. The SDK has deadlines that it does not keep,
    so it is left behind in a thread that ends with the process."""
    thread = Thread(target=work, name="tracing ends", daemon=True)
    thread.start()
    thread.join(PATIENCE)
    if thread.is_alive():
        _log.warning("spans were not sent: the collector does not take them in time")


class _TellingExporter(SpanExporter):
    """Says when spans begin to be lost, and when not any more."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self._lost = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._exporter.export(spans)
        if result is not SpanExportResult.SUCCESS:
            if not self._lost:
                _log.warning("spans are lost: the collector does not take them")
            self._lost += len(spans)
        elif self._lost:
            _log.info("spans are sent again", lost=self._lost)
            self._lost = 0
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._exporter.force_flush(timeout_millis)

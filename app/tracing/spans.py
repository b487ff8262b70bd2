"""Spans as this program makes them: current while they are open, and told to the log."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from app.cause import caused_by
from app.errors import RequestRefused

Attributes = Mapping[str, str | bool | int | float]
_W3C = TraceContextTextMapPropagator()


class Tracing:
    """Makes spans with ``tracer``; ``flush`` and ``close`` see to their being sent. Both block,
    for some seconds at most."""

    def __init__(
        self, tracer: trace.Tracer, *, flush: Callable[[], None], close: Callable[[], None]
    ) -> None:
        self._tracer = tracer
        self.flush = flush
        self.close = close

    @contextmanager
    def span(
        self,
        name: str,
        attributes: Attributes,
        *,
        kind: SpanKind = SpanKind.INTERNAL,
        parent: Context | None = None,
        links: Sequence[Link] = (),
    ) -> Iterator[Span]:
        """Open a span for what is inside. ``parent``: not whatever is open now.

        Of an error only its type is told: its words may hold anything.
        """
        with (
            self._tracer.start_as_current_span(
                name,
                context=parent,
                kind=kind,
                attributes=attributes,
                links=links,
                record_exception=False,
                set_status_on_exception=False,
            ) as span,
            caused_by(traceparent=_traceparent(span)),
        ):
            try:
                yield span
            except Exception as error:
                _note_error(span, error)
                raise

    def past(self, name: str, attributes: Attributes, seconds: float, *, failed: bool) -> None:
        """A span of something that has just ended, and took so long."""
        now = time.time_ns()
        span = self._tracer.start_span(
            name, attributes=attributes, start_time=now - int(seconds * 1e9)
        )
        if failed:
            span.set_status(Status(StatusCode.ERROR))
        span.end(now)


def remote(traceparent: str | None, tracestate: str | None = None) -> Context:
    """What a caller's headers say; an empty context if they say nothing that makes sense."""
    carrier = {"traceparent": traceparent, "tracestate": tracestate}
    told = {name: value for name, value in carrier.items() if value is not None}
    return _W3C.extract(told, context=Context())


def is_traced() -> bool:
    """Whether a span is open here."""
    return trace.get_current_span().get_span_context().is_valid


def links_to(traceparent: str | None) -> list[Link]:
    """A link to that span, if there is one."""
    context = trace.get_current_span(remote(traceparent)).get_span_context()
    return [Link(context)] if context.is_valid else []


def _traceparent(span: Span) -> str | None:
    carrier: dict[str, str] = {}
    _W3C.inject(carrier, context=trace.set_span_in_context(span, Context()))
    return carrier.get("traceparent")


def _note_error(span: Span, error: Exception) -> None:
    span.set_attribute("error.type", type(error).__name__)
    # A client that is refused is at fault itself.
    if not isinstance(error, RequestRefused):
        span.set_status(Status(StatusCode.ERROR))

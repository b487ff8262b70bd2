"""Whether there is tracing at all: loads it where it is configured, and ends it in time."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import structlog

from app.telemetry_settings import TelemetrySettings

if TYPE_CHECKING:
    from app.tracing.spans import Tracing

_log = structlog.get_logger(__name__)
GATEWAY, WORKER = "drawbridge", "drawbridge-worker"
"""Names of services, unless ``OTEL_SERVICE_NAME`` has another."""
INSTALL = "pip install 'drawbridge[tracing]'"


@asynccontextmanager
async def open_tracing(settings: TelemetrySettings, service: str) -> AsyncIterator[Tracing | None]:
    """Tracing if it is configured, ``None`` if not. Leaving sends what waits, within seconds."""
    tracing = make_tracing(settings, service)
    try:
        yield tracing
    finally:
        if tracing is not None:
            await asyncio.to_thread(tracing.close)


def make_tracing(settings: TelemetrySettings, service: str) -> Tracing | None:
    """Tracing if it is configured, to be closed; ``None``, with a line in the log, if it is but
    cannot be had."""
    endpoint = settings.otel_exporter_otlp_endpoint
    if endpoint is None or _is_off():
        return None
    try:
        from app.tracing.exporting import open_exporting  # noqa: PLC0415
    except ImportError as error:
        _log.warning("nothing is traced: a package is missing", reason=str(error), advice=INSTALL)
        return None
    return open_exporting(endpoint, service)


def trouble(endpoint: str) -> tuple[str, bool] | None:
    """What is in the way of traces to ``endpoint``, if anything, and whether it may pass by itself.
    Blocks for some seconds at most."""
    try:
        from app.tracing.exporting import takes_spans  # noqa: PLC0415
    except ImportError as error:
        return f"{error}: {INSTALL}", False
    if takes_spans(endpoint):
        return None
    return f"{endpoint}: takes no spans. Is a collector there, with OTLP by HTTP?", True


def _is_off() -> bool:
    """The other ways to say so that OpenTelemetry knows."""
    disabled = os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    return disabled or os.environ.get("OTEL_TRACES_EXPORTER", "").strip().lower() == "none"

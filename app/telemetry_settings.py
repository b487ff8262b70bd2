"""The settings of what is told to others; a group of ``app.config``, which reads them."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, SecretStr, field_validator


class TelemetrySettings(BaseModel):
    """What is told to others: traces and errors. Needs the extras `tracing` and `sentry`."""

    otel_exporter_otlp_endpoint: str | None = Field(
        None,
        description="Set: requests are traced. The collector's OTLP by HTTP: http://host:4318",
    )
    sentry_dsn: SecretStr | None = Field(
        None, description="Set: errors are reported. The project's DSN: https://key@host/project"
    )
    sentry_dsn_file: Path | None = Field(
        None, description="A file with it instead, so that it is in no environment."
    )

    @field_validator("otel_exporter_otlp_endpoint")
    @classmethod
    def _is_endpoint(cls, value: str | None) -> str | None:
        if not value:
            return None
        if not re.fullmatch(r"https?://[^\s/?#@]+(/[^\s?#]*)?", value) or not _has_port(value):
            raise ValueError(f"{value!r} is no base URL; write http://127.0.0.1:4318")
        return value.rstrip("/")

    @field_validator("sentry_dsn")
    @classmethod
    def _is_dsn(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None or not value.get_secret_value():
            return None
        # It is not shown: whoever has it may report.
        dsn = value.get_secret_value()
        shape = r"https?://[^\s:/?#@]+(:[^\s/?#@]*)?@[^\s/?#@:]+(:[0-9]+)?(/[^\s?#/]+)*/[0-9]+"
        if not re.fullmatch(shape, dsn) or not _has_port(dsn):
            raise ValueError("is no DSN; write https://KEY@HOST/PROJECT, as the project shows it")
        return value


def _has_port(url: str) -> bool:
    """Whether ``url`` names one that can be, or none."""
    try:
        return urlsplit(url).port != 0
    except ValueError:
        return False

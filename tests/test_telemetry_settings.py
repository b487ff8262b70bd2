"""Where traces and errors are told: addresses that make sense, or a word about it at the start."""

from __future__ import annotations

import pytest

from app.config import load_settings
from app.errors import SettingsError

GOOD = "https://0123abcd@errors.example.com/7"


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("http://127.0.0.1:4318", "http://127.0.0.1:4318"),
        ("https://collector.example.com/otlp/", "https://collector.example.com/otlp"),
        ("", None),
        (None, None),
    ],
)
def test_an_endpoint_is_a_base_url(given: str | None, read: str | None) -> None:
    assert load_settings(otel_exporter_otlp_endpoint=given).otel_exporter_otlp_endpoint == read


@pytest.mark.parametrize(
    "odd", ["localhost:4318", "grpc://host:4317", "http://", "http://h:99999", "http://u:p@h:1"]
)
def test_an_odd_endpoint_is_refused(odd: str) -> None:
    with pytest.raises(SettingsError, match=r"OTEL_EXPORTER_OTLP_ENDPOINT: .*write http://"):
        load_settings(otel_exporter_otlp_endpoint=odd)


@pytest.mark.parametrize("dsn", [GOOD, "http://k:s@127.0.0.1:9000/sub/12", "https://k@h/0"])
def test_a_dsn_is_taken_and_not_shown(dsn: str) -> None:
    settings = load_settings(sentry_dsn=dsn)
    assert settings.sentry_dsn is not None
    assert settings.sentry_dsn.get_secret_value() == dsn
    assert "0123abcd" not in repr(settings)


def test_no_dsn_is_none() -> None:
    assert load_settings(sentry_dsn="").sentry_dsn is None


@pytest.mark.parametrize(
    "odd",
    [
        "0123abcd",
        "https://errors.example.com/7",
        "https://0123abcd@errors.example.com",
        "https://0123abcd@errors.example.com/project",
        "ftp://0123abcd@errors.example.com/7",
        "https://0123abcd@errors.example.com:99999/7",
        "https://0123abcd@errors.example.com:port/7",
    ],
)
def test_an_odd_dsn_is_refused_without_showing_it(odd: str) -> None:
    with pytest.raises(SettingsError, match="SENTRY_DSN: is no DSN") as refused:
        load_settings(sentry_dsn=odd)
    assert "0123abcd" not in str(refused.value)

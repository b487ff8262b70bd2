"""Fixtures for all tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import structlog

from app.config import Settings

_OF_THE_TESTS = {"mongodb_uri", "docker_host", "redis_url"}
"""Settings by which whoever runs the tests names real servers."""


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No test sees the settings of whoever runs it, nor leaves its log's context behind."""
    for name in Settings.model_fields.keys() - _OF_THE_TESTS:
        monkeypatch.delenv(name.upper(), raising=False)
    yield
    structlog.contextvars.clear_contextvars()

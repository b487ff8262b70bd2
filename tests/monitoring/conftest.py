"""A sandbox kingdom and containers, for gateways that are looked at."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes import Drawbridge, drawbridge
from tests.real.engine import engine_run, pytest_runtest_makereport, workshop

__all__ = ["engine_run", "pytest_runtest_makereport", "sandbox", "workshop"]


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Drawbridge]:
    """A small kingdom."""
    with drawbridge(tmp_path / "sandbox", "sandbox", "--port", "0", "--players", "60") as running:
        running.url()
        yield running

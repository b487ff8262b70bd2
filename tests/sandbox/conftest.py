"""One small kingdom for all tests that only look at it."""

from __future__ import annotations

import pytest

from tests.sandbox.asker import Asker


@pytest.fixture(scope="session")
def ask() -> Asker:
    return Asker()

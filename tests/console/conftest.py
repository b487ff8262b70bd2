"""Real containers for the page to show."""

from tests.real.engine import engine_run, pytest_runtest_makereport, workshop

__all__ = ["engine_run", "pytest_runtest_makereport", "workshop"]

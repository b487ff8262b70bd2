"""Containers for the story."""

from tests.real.engine import engine_run, pytest_runtest_makereport, workshop

__all__ = ["engine_run", "pytest_runtest_makereport", "workshop"]

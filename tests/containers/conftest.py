"""Containers for the tests of the containers room."""

from tests.containers.fleets import counted, fleet_of
from tests.real.engine import engine_run, pytest_runtest_makereport, workshop

__all__ = ["counted", "engine_run", "fleet_of", "pytest_runtest_makereport", "workshop"]

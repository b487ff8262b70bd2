"""The stages that the faults share, and the table at the end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.chaos.run import Result
from tests.chaos.stage import Stage, open_stage
from tests.chaos.table import table
from tests.real.mongodb import MongoServer, mongo_server

__all__ = ["mongo_server"]
_RESULTS = pytest.StashKey[list[Result]]()


class SharedStage:
    """A stage for all the faults on one store, opened when it is needed.

    They share it, because what a fault leaves behind is to be found by the next.
    """

    def __init__(self, folders: pytest.TempPathFactory, mongo: MongoServer | None) -> None:
        self._folders = folders
        self._mongo = mongo
        self._stage: Stage | None = None
        self._opened = ExitStack()

    def open(self) -> Stage:
        """The stage; a new one if there is none."""
        if self._stage is None:
            folder = self._folders.mktemp("chaos")
            self._stage = self._opened.enter_context(open_stage(folder, self._mongo))
        return self._stage

    def close(self) -> None:
        """End it: after a fault that was not survived it says nothing about the next."""
        self._stage = None
        self._opened.close()


@pytest.fixture(scope="session")
def sqlite_stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedStage]:
    shared = SharedStage(tmp_path_factory, None)
    yield shared
    shared.close()


@pytest.fixture(scope="session")
def mongodb_stage(
    tmp_path_factory: pytest.TempPathFactory, mongo_server: MongoServer
) -> Iterator[SharedStage]:
    mongo_server.pause()  # skips the test if no harm may be done to it
    mongo_server.resume()
    shared = SharedStage(tmp_path_factory, mongo_server)
    yield shared
    shared.close()


@pytest.fixture(scope="session")
def results(request: pytest.FixtureRequest) -> list[Result]:
    """Where each fault's result goes, for the table."""
    return request.config.stash.setdefault(_RESULTS, [])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    gathered = terminalreporter.config.stash.get(_RESULTS, [])
    if gathered:
        terminalreporter.section("chaos")
        for line in table(gathered):
            terminalreporter.line(line)

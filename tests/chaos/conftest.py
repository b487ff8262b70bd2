"""The stages that the faults share, and the table at the end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.chaos import clocks
from tests.chaos.run import Result
from tests.chaos.stage import Props, Stage, open_stage
from tests.chaos.table import table
from tests.real.clock import wall_clock
from tests.real.mongodb import MongoServer, mongo_server
from tests.real.redis import RedisServer, redis_process

__all__ = ["mongo_server", "redis_process"]
_RESULTS = pytest.StashKey[list[Result]]()


class SharedStage:
    """A stage for all the faults among the same props, opened when it is needed.

    They share it, because what a fault leaves behind is to be found by the next.
    """

    def __init__(self, folders: pytest.TempPathFactory, props: Props) -> None:
        self._folders = folders
        self._props = props
        self._stage: Stage | None = None
        self._opened = ExitStack()

    def open(self) -> Stage:
        """The stage; a new one if there is none."""
        if self._stage is None:
            folder = self._folders.mktemp("chaos")
            self._stage = self._opened.enter_context(open_stage(folder, self._props))
        return self._stage

    def close(self) -> None:
        """End it: after a fault that was not survived it says nothing about the next."""
        self._stage = None
        self._opened.close()


@pytest.fixture(scope="module")
def sqlite_stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedStage]:
    shared = SharedStage(tmp_path_factory, Props())
    yield shared
    shared.close()


@pytest.fixture(scope="module")
def workers_stage(
    tmp_path_factory: pytest.TempPathFactory, redis_process: RedisServer
) -> Iterator[SharedStage]:
    redis_process.start()
    redis_process.pause()  # skips the test if no harm may be done to it
    redis_process.resume()
    shared = SharedStage(tmp_path_factory, Props(redis=redis_process))
    yield shared
    shared.close()


@pytest.fixture(scope="module")
def clock_stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedStage]:
    clock = wall_clock(tmp_path_factory.mktemp("clock"))
    shared = SharedStage(tmp_path_factory, Props(clock=clock, settings=clocks.SETTINGS))
    yield shared
    shared.close()


@pytest.fixture(scope="module")
def mongodb_stage(
    tmp_path_factory: pytest.TempPathFactory, mongo_server: MongoServer
) -> Iterator[SharedStage]:
    mongo_server.pause()  # skips the test if no harm may be done to it
    mongo_server.resume()
    shared = SharedStage(tmp_path_factory, Props(mongo=mongo_server))
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

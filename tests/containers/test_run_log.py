"""Which lines a run wrote, whatever was done to the clock."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from app.containers.observed import Inspected, Standing
from app.containers.run_log import LogLine, Mark, of_this_run
from app.containers.spec import parse_spec
from app.containers.start_slots import StartSlots
from app.containers.work import Job, wake
from tests.containers.simulation.test_engine import Bench

UP = Inspected("a" * 64, Standing.UP, started_at=100.0, finished_at=90.0)


def line(at: float, text: str = "ready") -> LogLine:
    return LogLine(f"stamp {at}", at, text)


OLD, NEW = line(80.0, "old"), line(99.9, "new")


@pytest.mark.parametrize(
    ("lines", "mark", "text"),
    [
        ([OLD, NEW], Mark(OLD), "new"),
        ([OLD, line(20.0, "set back")], Mark(OLD), "set back"),
        ([OLD, OLD, NEW], Mark(OLD), "new"),
        ([OLD], Mark(OLD), ""),
        ([NEW], Mark(None), "new"),
        ([], Mark(None), ""),
        ([NEW, NEW], Mark(line(1.0, "long gone")), "new\nnew"),
    ],
)
def test_what_comes_after_the_mark(lines: list[LogLine], mark: Mark, text: str) -> None:
    assert of_this_run(lines, UP, mark) == text


def test_without_a_mark_the_end_of_the_run_before_decides() -> None:
    assert of_this_run([OLD, NEW], UP, None) == "new"
    first = replace(UP, finished_at=-62135596800.0)
    assert of_this_run([OLD, NEW], first, None) == "old\nnew"


def test_a_run_before_that_ended_in_the_future_says_nothing() -> None:
    set_back = replace(UP, finished_at=4000.0)
    assert of_this_run([line(50.0, "old"), NEW, line(130.0)], set_back, None) == "new\nready"


@pytest.mark.parametrize("step", [0.0, -3600.0, 3600.0, -1.5])
def test_a_clock_that_is_set_between_two_runs_does_not_matter(step: float) -> None:
    bench = Bench()
    bench.box.manners.ready_in = 1.0
    spec = parse_spec("a", bench.box.labels).spec
    assert spec is not None

    async def nothing() -> None:
        """Its id stays."""

    async def play() -> None:
        poke = asyncio.Event()
        clock = bench.clock.time
        job = Job(bench.client, spec, 1, lambda: bench.box.id, nothing, poke, clock)  # type: ignore[arg-type]
        assert (await wake(job, 8.0, StartSlots(1))).fault is None  # type: ignore[union-attr]
        await bench.client.stop(bench.box.id, 10.0)
        bench.clock.wall_step += step
        began = clock()
        assert (await wake(job, 8.0, StartSlots(1))).fault is None  # type: ignore[union-attr]
        assert bench.box.served, "it is not the line of the run before that counts"
        assert clock() - began > 1.0

    bench.clock.play(play())

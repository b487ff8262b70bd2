"""A hundred thousand schedules, each from its seed; one that fails is printed and can be replayed.

``SIMULATION_SEED=N pytest tests/containers/simulation -k replay`` plays one again and prints it,
``SIMULATION_SCHEDULES=N`` plays more or fewer, ``SIMULATION_FIRST=N`` others.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace

import pytest

from tests.containers.simulation.box import Manners
from tests.containers.simulation.plan import KINDS, BoxPlan, Happening, draw
from tests.containers.simulation.play import play, play_many, shrink

SCHEDULES = int(os.environ.get("SIMULATION_SCHEDULES", "100000"))
FIRST = int(os.environ.get("SIMULATION_FIRST", "0"))
AT_ONCE = 500


@pytest.mark.timeout(600)
def test_nothing_wrong_happens_in_a_hundred_thousand_schedules(
    capsys: pytest.CaptureFixture[str],
) -> None:
    began, cores = time.monotonic(), len(os.sched_getaffinity(0))
    end = FIRST + SCHEDULES
    parts = [range(seed, min(end, seed + AT_ONCE)) for seed in range(FIRST, end, AT_ONCE)]
    with ProcessPoolExecutor(cores, mp_context=multiprocessing.get_context("spawn")) as pool:
        failed = [seed for seeds in pool.map(play_many, parts) for seed in seeds]
    took = time.monotonic() - began
    with capsys.disabled():
        sys.stdout.write(f" {SCHEDULES} schedules in {took:.0f} s on {cores} cores ")
    if failed:
        pytest.fail(f"{len(failed)} went wrong: {failed[:20]}\n{shrink(draw(failed[0]))}")


def test_replay(capsys: pytest.CaptureFixture[str]) -> None:
    seed = os.environ.get("SIMULATION_SEED")
    played = play(draw(int(seed or "1")))
    if seed is not None:
        with capsys.disabled():
            sys.stdout.write(f"\n{played}\n")
    assert not played.wrong


@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_says_all_that_happens(kind: str) -> None:
    for seed in range(20):
        once, again = play(draw(seed, kind)), play(draw(seed, kind))
        assert once.records == again.records


def test_one_who_comes_during_a_stop_lets_nobody_through() -> None:
    plan = draw(3, "gateway")
    labels = {"drawbridge.ready": "running", "drawbridge.idle-timeout": "5"}
    labels |= {"drawbridge.enable": "true", "drawbridge.sleep": "stop"}
    box = BoxPlan(
        "a",
        labels,
        Manners(ends_in=3.0),
        needs=(),
        idle_timeout=5.0,
        runs=True,
        stays=False,
        health=False,
        vetoes=False,
    )
    steps = (
        Happening(1.0, "gateway restarts", "a", 1, 0.9),
        Happening(2.0, "sleep", "a", 0, 0.0),
        Happening(3.5, "request", "a", 1, 0.9),
    )
    played = play(replace(plan, boxes=(box,), gateways=2, happenings=steps))
    assert not played.wrong
    stages = [one for one in played.records if one.what in ("stop begun", "down", "through")]
    assert [one.what for one in stages[:3]] == ["stop begun", "down", "through"]
    lives = [one for one in played.records if one.what == "gateway" and one.by == "gate1"]
    assert stages[0].at < lives[2].at < stages[1].at, "it came during the stop"


def test_one_that_dies_while_it_drains_is_not_taken_for_awake() -> None:
    """Seed 301645 as it was found: the answer is overtaken by a need, and has to be asked anew."""
    assert not play(draw(301645, "by hand")).wrong


def test_fewer_steps_are_the_beginning_of_the_same_schedule() -> None:
    plan = next(plan for plan in map(draw, range(50)) if len(plan.happenings) > 5)
    whole, part = play(plan), play(plan.first(3))
    quiet = next(number for number, record in enumerate(part.records) if record.what == "quiet")
    assert whole.records[:quiet] == part.records[:quiet]

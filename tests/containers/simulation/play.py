"""Plays schedules, one or thousands, and says what was wrong with them."""

from __future__ import annotations

import gc
from collections.abc import Iterable
from dataclasses import dataclass, replace

import structlog

from tests.containers.simulation.clock import Everlasting
from tests.containers.simulation.invariants import Invariants
from tests.containers.simulation.plan import Plan, draw
from tests.containers.simulation.record import Record
from tests.containers.simulation.world import World


@dataclass(frozen=True, slots=True)
class Played:
    """What happened in a schedule, and what of it must not be."""

    plan: Plan
    records: tuple[Record, ...]
    wrong: tuple[str, ...]

    def __str__(self) -> str:
        plan = self.plan
        lines = [f"seed {plan.seed}, {plan.kind}, {plan.gateways} gateways, events {plan.noise}"]
        lines += [f"  {box}" for box in plan.boxes]
        lines += [f"  {happening}" for happening in plan.happenings]
        lines += [str(record) for record in self.records]
        lines += [f"WRONG {what}" for what in self.wrong]
        lines.append(
            f"again: SIMULATION_SEED={plan.seed} pytest tests/containers/simulation -k replay"
        )
        return "\n".join(lines)


def play(plan: Plan) -> Played:
    """Play one."""
    world = World(plan)
    try:
        broken = world.run()
    except Everlasting as stuck:
        broken = [str(stuck)]
    records = tuple(world.journal.records)
    return Played(plan, records, (*Invariants(plan).read(records), *broken))


def play_many(seeds: Iterable[int]) -> list[int]:
    """The seeds of the schedules in which something was wrong. Runs in a process of its own."""
    # A hundred thousand plays write some millions of lines that nobody reads.
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(50), cache_logger_on_first_use=True
    )
    gc.freeze()
    # Small steps stay within the processor's caches: measured 5% faster than rare, large ones.
    gc.set_threshold(10_000)
    return [seed for seed in seeds if play(draw(seed)).wrong]


def shrink(plan: Plan) -> Played:
    """The same schedule with as few happenings as still go wrong."""
    smallest = play(plan)
    for steps in range(len(plan.happenings)):
        shorter = play(plan.first(steps))
        if shorter.wrong:
            smallest = shorter
            break
    left = len(smallest.plan.happenings)
    for number in reversed(range(left)):
        happenings = smallest.plan.happenings
        fewer = replace(smallest.plan, happenings=happenings[:number] + happenings[number + 1 :])
        played = play(fewer)
        if played.wrong:
            smallest = played
    return smallest

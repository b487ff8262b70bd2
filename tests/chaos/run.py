"""The runner: one fault, under load, from calm to recovery."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from tests.chaos.faults import ANSWERED, Fault
from tests.chaos.load import Tally, under_load
from tests.chaos.memory import watched_memory
from tests.chaos.plan import Plan
from tests.chaos.recovery import recovery
from tests.chaos.stage import Stage


@dataclass(frozen=True, slots=True)
class Result:
    """What one fault did; ``complaints`` tell what did not hold, in words."""

    fault: str
    known: Tally
    new: Tally
    growth: int
    recovered_after: float
    complaints: list[str]


async def run(fault: Fault, stage: Stage, plan: Plan) -> Result:
    """Commit ``fault`` and undo it, while questions are asked."""
    async with (
        under_load(stage, plan, cuts=fault.cuts) as load,
        watched_memory(stage) as memory,
    ):
        await asyncio.sleep(plan.calm)
        load.forget()
        said_before = len(stage.log)
        load.expect(ANSWERED, fault.new)
        await fault.begin(stage)
        load.expect(fault.new)
        await asyncio.sleep(plan.seconds)
        load.expect(ANSWERED, fault.new)
        await fault.end(stage)
        took, missing = await recovery(
            stage, load, plan.recovery, lambda: fault.unsaid(stage.log[said_before:])
        )
        further = await fault.look(stage, plan.seconds / 2)
    complaints = [*load.known.examples, *load.new.examples, *further]
    if fault.trace not in stage.log[said_before:]:
        complaints.append(f"the gateway did not notice: it never said {fault.trace!r}")
    if memory.growth > plan.most_memory:
        complaints.append(f"the gateway grew by {memory.growth / 1e6:.0f} MB")
    if missing is not None:
        complaints.append(f"not as before after {took:.1f} s: {missing}")
    return Result(fault.name, load.known, load.new, memory.growth, took, complaints)

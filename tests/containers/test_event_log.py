"""The judge itself: it has to see what it is there to see."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.containers.event_log import EventLog, Uses
from tests.real.engine import Workshop
from tests.waiting import until

pytestmark = pytest.mark.real("docker")


async def test_a_stop_in_use_and_a_use_in_a_stop_are_seen(workshop: Workshop) -> None:
    made, uses = workshop.container("db"), Uses()
    with EventLog(workshop.run, workshop.case) as log:
        workshop.api.start(made)
        with uses.use(made) as use:
            use.through_at = time.time()
            await asyncio.to_thread(workshop.api.stop, made)
        with uses.use(made) as late:
            late.through_at = time.time()
        await until(lambda: log.count(made, "stop"))
        with pytest.raises(AssertionError) as caught:
            log.judge(uses, budget=0.0, desired={made})
    assert [promise in str(caught.value) for promise in ("(a)", "(b)", "(c)", "(d)", "(e)")] == [
        True,
        True,
        False,
        True,
        True,
    ]
    assert log.actions(made, "start", "kill", "die", "stop") == ["start", "kill", "die", "stop"]


async def test_good_conduct_passes(workshop: Workshop) -> None:
    made, uses = workshop.container("db"), Uses()
    with EventLog(workshop.run, workshop.case) as log:
        workshop.api.start(made)
        with uses.use(made) as use:
            use.through_at = time.time()
        await asyncio.to_thread(workshop.api.stop, made)
        workshop.api.start(made)
        with uses.use(made) as use:
            use.through_at = time.time()
        await until(lambda: log.count(made, "start") == 2)
        log.judge(uses, budget=30, desired={made})

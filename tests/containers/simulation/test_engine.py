"""The fake engine behaves as the real one was measured to: everything else rests on it."""

from __future__ import annotations

import random

import pytest

from app.containers.observed import (
    ContainerGone,
    EngineRefused,
    EngineTimeout,
    EngineUnreachable,
    Standing,
)
from tests.containers.simulation.box import Box, Manners
from tests.containers.simulation.client import Client
from tests.containers.simulation.clock import VirtualClock
from tests.containers.simulation.engine import RECALLED, FakeEngine
from tests.containers.simulation.events import Noise, Subscription
from tests.containers.simulation.record import Journal

LABELS = {"drawbridge.enable": "true", "drawbridge.ready": "log:ready"}


class Bench:
    """An engine with one container, which takes three seconds to stop."""

    def __init__(self, noise: Noise | None = None) -> None:
        self.clock = VirtualClock()
        self.journal = Journal(self.clock.time)
        self.engine = FakeEngine(self.clock, self.journal, random.Random(7), noise or Noise())
        self.box = self.engine.put("a", LABELS, Manners(ends_in=3.0), health=False)
        self.client = Client(self.engine, "gate0")

    @property
    def told(self) -> list[str]:
        return [record.what for record in self.journal.records]


async def heard(stream: Subscription) -> list[str]:
    """All that comes before a second of silence."""
    found = []
    try:
        while (event := await stream.next(1.0)) is not None:
            found.append(event.action)
    except EngineTimeout:
        return found
    return [*found, "end"]


def up(bench: Bench) -> Box:
    bench.engine.run(bench.box, "hand")
    return bench.box


def test_a_start_takes_a_while_and_only_one_counts() -> None:
    bench = Bench()

    async def play() -> None:
        assert await bench.client.start(bench.box.id)
        assert 0.2 <= bench.clock.time() < 0.4
        assert not await bench.client.start(bench.box.id)

    bench.clock.play(play())
    assert bench.told.count("started") == 1


def test_a_start_during_a_stop_is_lost_and_after_it_is_not() -> None:
    bench = Bench()
    box = up(bench)

    async def play() -> None:
        stopping = bench.clock.create_task(bench.client.stop(box.id, 30.0))
        assert not await bench.client.wait_down(box.id, 1.0)
        assert (await bench.client.inspect(box.id)).standing is Standing.UP
        assert not await bench.client.start(box.id)
        assert await bench.client.wait_down(box.id, 30.0)
        await stopping
        assert (await bench.client.inspect(box.id)).standing is Standing.DOWN
        assert await bench.client.start(box.id)

    bench.clock.play(play())


def test_a_stop_is_told_as_kill_die_and_stop() -> None:
    bench = Bench()
    box = up(bench)

    async def play() -> list[str]:
        stream = await bench.client.events([], None)
        await bench.client.stop(box.id, 30.0)
        return await heard(stream)

    assert bench.clock.play(play()) == ["kill", "die", "stop"]


@pytest.mark.parametrize(("ends_in", "code"), [(3.0, 0), (60.0, 137)])
def test_who_does_not_end_in_time_is_killed(ends_in: float, code: int) -> None:
    bench = Bench()
    box = up(bench)
    box.manners.ends_in = ends_in

    async def play() -> None:
        await bench.client.stop(box.id, 30.0)
        details = await bench.client.inspect(box.id)
        assert (details.exit_code, details.oom_killed) == (code, False)
        assert bench.clock.time() < 11.0

    bench.clock.play(play())


def test_a_paused_container_cannot_be_started_counts_as_running_and_can_be_stopped() -> None:
    bench = Bench()
    box = up(bench)

    async def play() -> None:
        await bench.client.pause(box.id)
        with pytest.raises(EngineRefused) as refused:
            await bench.client.start(box.id)
        assert refused.value.status == 409
        assert not await bench.client.wait_down(box.id, 5.0)
        await bench.client.stop(box.id, 30.0)
        assert (await bench.client.inspect(box.id)).standing is Standing.DOWN

    bench.clock.play(play())


def test_what_was_asked_for_is_done_though_nobody_waits() -> None:
    bench = Bench()

    async def play() -> None:
        start = bench.clock.create_task(bench.client.start(bench.box.id))
        bench.clock.call_later(0.1, start.cancel)
        assert not await bench.client.wait_down(bench.box.id, 1.0) or bench.box.starting
        await heard(await bench.client.events([], None))
        assert bench.box.is_up

    bench.clock.play(play())


def test_the_last_events_are_recalled_until_the_engine_restarts() -> None:
    bench = Bench()
    since = bench.clock.wall() - 1.0

    async def play() -> None:
        for number in range(RECALLED):
            bench.engine.rename(bench.box, f"a{number}")
        told = await heard(await bench.client.events([], since))
        assert told == ["rename"] * RECALLED
        bench.engine.restart(live_restore=True)
        bench.engine.away = False
        assert await heard(await bench.client.events([], since)) == []

    bench.clock.play(play())


def test_a_cut_ends_the_stream_and_the_calls_but_not_what_they_do() -> None:
    bench = Bench()

    async def play() -> None:
        stream = await bench.client.events([], None)
        bench.clock.call_later(0.1, bench.engine.cut)
        with pytest.raises(EngineUnreachable):
            await bench.client.start(bench.box.id)
        assert await heard(stream) == ["end"]
        with pytest.raises(EngineUnreachable):
            await bench.client.list([])
        assert bench.box.is_up

    bench.clock.play(play())


def test_created_anew_it_has_another_id() -> None:
    bench = Bench()

    async def play() -> None:
        old, new = bench.box, bench.engine.create("a", bench.box)
        bench.engine.remove(old, "hand")
        assert new.id != old.id
        with pytest.raises(ContainerGone):
            await bench.client.start(old.id)
        assert [listed.id for listed in await bench.client.list([])] == [new.id]

    bench.clock.play(play())


def test_lack_of_memory_is_told_apart() -> None:
    bench = Bench()
    box = up(bench)

    async def play() -> list[str]:
        stream = await bench.client.events([], None)
        bench.engine.end(box, "hand", 137, oom=True)
        assert (await bench.client.inspect(box.id)).oom_killed
        return await heard(stream)

    assert bench.clock.play(play()) == ["oom", "die"]


def test_noise_loses_doubles_and_delays_events() -> None:
    bench = Bench(Noise(lost=0.2, doubled=0.3, late=0.5))

    async def play() -> list[str]:
        stream = await bench.client.events([], None)
        for number in range(100):
            bench.engine.rename(bench.box, f"a{number}")
            bench.engine.flap(bench.box, "unhealthy")
        bench.engine.run(bench.box, "hand")
        return await heard(stream)

    told = bench.clock.play(play())
    assert 60 < len(told) < 140


def test_a_line_is_in_the_log_since_it_was_written() -> None:
    bench = Bench()

    async def play() -> None:
        before = bench.clock.wall()
        assert await bench.client.start(bench.box.id)
        assert not await bench.client.wait_down(bench.box.id, 1.0)
        assert await bench.client.logs(bench.box.id, before, 10) == "ready"
        assert await bench.client.logs(bench.box.id, bench.clock.wall(), 10) == ""
        assert [line.text for line in await bench.client.log_lines(bench.box.id, 1)] == ["ready"]

    bench.clock.play(play())

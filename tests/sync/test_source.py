"""The pace of a run, and its patience."""

from __future__ import annotations

import asyncio

import pytest

from app.errors import UpstreamError, UpstreamRefused, UpstreamTimeout
from app.kingdom.catalogue import OPERATIONS
from app.sync.source import MOST_PATIENCE, PAUSES, PoliteSource
from tests.sync.serving_rows import Clock, Table

[ITEMS] = [operation for operation in OPERATIONS if operation.name == "items"]


def polite(table: Table, clock: Clock, pace: float = 1.5) -> PoliteSource:
    return PoliteSource(table, pace=pace, clock=clock, sleep=clock.sleep)


def failing(*errors: UpstreamError | None) -> Table:
    """A table whose first calls raise ``errors``, where there is one."""

    def before(number: int) -> None:
        error = errors[number - 1] if number <= len(errors) else None
        if error is not None:
            raise error

    return Table(before=before)


async def test_there_is_a_pause_between_two_calls_and_none_before_the_first() -> None:
    clock = Clock()
    source = polite(Table(), clock)
    for _ in range(3):
        await source.ask(ITEMS, {}, ())
    assert clock.slept == [1.5, 1.5]


async def test_what_the_caller_takes_counts_as_pause() -> None:
    clock = Clock()
    source = polite(Table(), clock)
    await source.ask(ITEMS, {}, ())
    clock.now += 1.0
    await source.ask(ITEMS, {}, ())
    clock.now += 2.0
    await source.ask(ITEMS, {}, ())
    assert clock.slept == [0.5]


async def test_without_a_pace_nobody_waits() -> None:
    clock = Clock()
    source = polite(Table(), clock, pace=0.0)
    await asyncio.gather(*(source.ask(ITEMS, {}, ()) for _ in range(3)))
    assert clock.slept == []


async def test_calls_go_one_after_the_other_whoever_makes_them() -> None:
    clock, table = Clock(), Table()
    source = polite(table, clock)
    await asyncio.gather(*(source.ask(ITEMS, {}, ()) for _ in range(3)))
    assert len(table.asked) == 3
    assert clock.slept == [1.5, 1.5]


async def test_a_call_that_failed_is_made_again_after_a_while() -> None:
    clock = Clock()
    table = failing(UpstreamTimeout("slow"), UpstreamTimeout("slow"))
    answer = await polite(table, clock, pace=0.0).ask(ITEMS, {}, ())
    assert answer.status == 200
    assert clock.slept == list(PAUSES)


async def test_the_upstream_says_how_long_it_wants_to_be_left_alone() -> None:
    clock = Clock()
    table = failing(UpstreamRefused("busy", status=429, retry_after=60.0))
    await polite(table, clock, pace=0.0).ask(ITEMS, {}, ())
    assert clock.slept == [60.0]


async def test_nobody_is_waited_for_longer_than_a_run_should_last() -> None:
    clock = Clock()
    table = failing(UpstreamRefused("busy", status=429, retry_after=MOST_PATIENCE + 1))
    with pytest.raises(UpstreamRefused):
        await polite(table, clock).ask(ITEMS, {}, ())
    assert len(table.asked) == 1


async def test_patience_ends() -> None:
    clock = Clock()
    table = failing(*[UpstreamTimeout(f"slow {number}") for number in range(9)])
    with pytest.raises(UpstreamTimeout, match="slow 2"):
        await polite(table, clock).ask(ITEMS, {}, ())
    assert len(table.asked) == len(PAUSES) + 1

"""The calendar."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.sandbox.clockwork import (
    DAY,
    LAUNCH,
    SETTLED,
    block_at,
    day_of,
    floor,
    moment_of,
    moment_of_block,
    start_of,
)

moments = st.integers(SETTLED, SETTLED + 3000 * DAY)


def test_it_began_at_midnight() -> None:
    assert datetime.fromtimestamp(LAUNCH, UTC) == datetime(2024, 12, 27, tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "moment"),
    [(0.0, SETTLED), (-5.0, SETTLED), (SETTLED + 0.99, SETTLED), (SETTLED + 7.5, SETTLED + 7)],
)
def test_a_moment_is_a_whole_second(now: float, moment: int) -> None:
    assert moment_of(now) == moment


@given(moments)
def test_days(moment: int) -> None:
    day = day_of(moment)
    assert start_of(day) <= moment < start_of(day + 1)
    assert start_of(day) % DAY == 0


@given(moments, st.integers(1, 10 * DAY))
def test_floor(moment: int, period: int) -> None:
    assert 0 <= moment - floor(moment, period) < period
    assert floor(floor(moment, period), period) == floor(moment, period)
    assert floor(moment, 0) == SETTLED


@given(moments)
def test_blocks(moment: int) -> None:
    assert moment_of_block(block_at(moment)) == moment
    assert block_at(moment + 1) > block_at(moment)


def test_the_first_blocks_are_not_shown() -> None:
    assert moment_of_block(0) == SETTLED

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.upstream.pacing import (
    LONGEST_PAUSE,
    UNEXPLAINED_429_PAUSE,
    Admission,
    Pause,
    parse_retry_after,
    pause_after,
)

WALL = datetime(2026, 11, 1, 12, 0, 0, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("-3", None),
        ("٣", None),
        ("0", 0.0),
        ("7", 7.0),
        (" 7 ", 7.0),
        ("1.5", 1.5),
        ("100000", LONGEST_PAUSE),
        ("9" * 400, LONGEST_PAUSE),
        ("Sun, 01 Nov 2026 12:00:30 GMT", 30.0),
        ("Sunday, 01-Nov-26 12:00:30 GMT", 30.0),
        ("Sun Nov  1 12:00:30 2026", 30.0),
        ("Sun, 01 Nov 2026 11:00:00 GMT", 0.0),
        ("Sun, 01 Nov 2099 11:00:00 GMT", LONGEST_PAUSE),
        ("Sun, 32 Nov 2026 12:00:30 GMT", None),
        ("Sun, 01 Nov 99999 12:00:30 GMT", None),
    ],
)
def test_retry_after_is_read_in_every_form_it_comes_in(
    value: str | None, seconds: float | None
) -> None:
    assert parse_retry_after(value, WALL) == seconds


@given(st.text(max_size=60), st.floats(0, 4e9))
def test_no_retry_after_breaks_us_or_silences_us_for_long(value: str, wall: float) -> None:
    seconds = parse_retry_after(value, wall)

    assert seconds is None or 0 <= seconds <= LONGEST_PAUSE


@given(st.integers(0, 299))
def test_a_date_means_the_time_until_then(seconds: int) -> None:
    moment = datetime.fromtimestamp(WALL + seconds, UTC)

    assert parse_retry_after(format_datetime(moment, usegmt=True), WALL) == seconds


@pytest.mark.parametrize(
    ("status", "retry_after", "seconds"),
    [(503, 9.0, 9.0), (429, 9.0, 9.0), (429, None, UNEXPLAINED_429_PAUSE), (503, None, 0.0)],
)
def test_how_long_a_refusal_silences_everybody(
    status: int, retry_after: float | None, seconds: float
) -> None:
    assert pause_after(status, retry_after) == seconds


def test_without_a_pause_calls_go_out() -> None:
    assert Pause().admit(now=0.0, deadline=1.0) == Admission("go", 0.0)


@pytest.mark.parametrize(
    ("now", "deadline", "admission"),
    [
        (100.0, 109.0, Admission("wait", 5.0)),
        (100.0, 105.0, Admission("refuse", 5.0)),
        (100.0, 101.0, Admission("refuse", 5.0)),
        (104.0, 106.0, Admission("wait", 1.0)),
        (105.0, 105.5, Admission("go", 0.0)),
        (900.0, 901.0, Admission("go", 0.0)),
    ],
)
def test_a_call_waits_only_for_a_pause_that_ends_in_its_time(
    now: float, deadline: float, admission: Admission
) -> None:
    pause = Pause().extended(100.0, 5.0, 429)

    assert pause.admit(now, deadline) == admission


def test_a_shorter_demand_does_not_shorten_the_pause() -> None:
    long = Pause().extended(0.0, 60.0, 503)

    assert long.extended(1.0, 2.0, 429) == long
    assert long.extended(1.0, 0.0, 429) == long
    assert long.extended(50.0, 60.0, 429) == Pause(110.0, 429)


@given(st.lists(st.tuples(st.floats(0, 1e4), st.floats(0, 1e6)), max_size=20))
def test_a_pause_never_shrinks_and_is_never_long(demands: list[tuple[float, float]]) -> None:
    pause, now = Pause(), 0.0
    for step, seconds in demands:
        now += step
        longer = pause.extended(now, seconds, 429)
        assert longer.until >= pause.until
        assert longer.left(now) <= LONGEST_PAUSE + 1e-6
        pause = longer

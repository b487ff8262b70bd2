"""When jobs are due: never before their time, never later than their cadence."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.records.store import JobState
from app.sync.job import HOUR, JOBS, MINUTE, Job
from app.sync.schedule import DAY, QUIET_AFTER, RETRY, ROLL_OVER, cadence_of, due_at

MIDNIGHT = 1_790_035_200.0
assert MIDNIGHT % DAY == 0
NOON = MIDNIGHT + 12 * HOUR
HOURLY = Job("hourly", (), HOUR, 6 * HOUR)
DAILY = replace(HOURLY, name="daily", daily=True)

each_job = st.sampled_from([*JOBS.values(), HOURLY, DAILY])
moments = st.floats(NOON, NOON + 30 * DAY)
jitters = st.floats(0, 1)
ages = st.floats(0, 10 * DAY)


def ran(job: Job, at: float, *, took: float = 30.0, failures: int = 0) -> JobState:
    good = 0.0 if failures else at + took
    return JobState(job.name, at, at + took, good, failures, "broken" if failures else None)


@given(each_job, moments, jitters)
def test_the_first_run_is_at_once(job: Job, now: float, jitter: float) -> None:
    for state in (None, JobState(job.name)):
        assert due_at(job, state, last_used=0.0, now=now, jitter=jitter) == now


@given(each_job, moments, ages, st.floats(0, 7200), jitters)
def test_never_later_than_the_cadence(
    job: Job, now: float, age: float, unused: float, jitter: float
) -> None:
    state = ran(job, now - age)
    due = due_at(job, state, last_used=now - unused, now=now, jitter=jitter)
    assert due <= state.began_at + cadence_of(job, now - unused, now)


@given(each_job, moments, ages, st.floats(0, 7200), jitters)
def test_never_before_its_time(
    job: Job, now: float, age: float, unused: float, jitter: float
) -> None:
    state = ran(job, now - age)
    due = due_at(job, state, last_used=now - unused, now=now, jitter=jitter)
    cadence = cadence_of(job, now - unused, now)
    new_day = (due - ROLL_OVER[0]) // DAY > (state.began_at - ROLL_OVER[0]) // DAY
    early = due < state.began_at + 0.95 * cadence - 1e-3
    assert not early or (job.daily and new_day)


@given(moments, jitters)
def test_a_daily_job_sees_every_new_day(began: float, jitter: float) -> None:
    """Whenever it ran last, within the spread after 00:00 UTC it runs again."""
    soonest, latest = ROLL_OVER
    due = due_at(DAILY, ran(DAILY, began), last_used=began, now=began, jitter=jitter)
    assert began < due <= (began // DAY + 1) * DAY + latest
    if due < began + HOUR * 0.95:
        assert soonest <= due % DAY <= latest + 1e-3


def test_a_run_over_midnight_does_not_count_for_the_new_day() -> None:
    state = ran(DAILY, MIDNIGHT - 10, took=60)
    due = due_at(DAILY, state, last_used=MIDNIGHT, now=MIDNIGHT + 50, jitter=0.5)
    assert due == MIDNIGHT + 160


def test_a_run_that_saw_the_new_day_does() -> None:
    state = ran(DAILY, MIDNIGHT + 200)
    due = due_at(DAILY, state, last_used=MIDNIGHT, now=MIDNIGHT + 250, jitter=0.0)
    assert due == state.began_at + HOUR


def test_nobody_asked_for_an_hour_and_it_runs_less() -> None:
    state = ran(HOURLY, NOON)
    for unused, cadence in ((QUIET_AFTER - 1, HOUR), (QUIET_AFTER, 6 * HOUR)):
        due = due_at(HOURLY, state, last_used=NOON - unused, now=NOON, jitter=0.0)
        assert due == NOON + cadence


def test_whoever_comes_back_finds_it_overdue() -> None:
    state = ran(HOURLY, NOON - 3 * HOUR)
    assert due_at(HOURLY, state, last_used=0.0, now=NOON, jitter=0.0) > NOON
    assert due_at(HOURLY, state, last_used=NOON, now=NOON, jitter=0.0) <= NOON


@pytest.mark.parametrize(
    ("failures", "pause"),
    [(1, RETRY), (2, 2 * RETRY), (5, 16 * RETRY), (6, 32 * RETRY), (7, HOUR - 30), (99, HOUR - 30)],
)
def test_it_is_tried_again_ever_later(failures: int, pause: float) -> None:
    state = ran(HOURLY, NOON, failures=failures)
    due = due_at(HOURLY, state, last_used=NOON, now=state.ended_at, jitter=0.0)
    assert due - state.ended_at == pause


@given(each_job, moments, st.integers(1, 10**6), jitters)
def test_a_failing_job_is_left_alone_for_a_while_and_not_for_ever(
    job: Job, now: float, failures: int, jitter: float
) -> None:
    state = ran(job, now - 30, took=30, failures=failures)
    due = due_at(job, state, last_used=now, now=now, jitter=jitter)
    overnight = job.daily and due % DAY <= ROLL_OVER[1] + 1e-3
    assert due >= now + RETRY * 0.9 or overnight
    assert due <= now + job.every


def test_a_run_that_never_ended_is_taken_over_soon() -> None:
    state = replace(ran(HOURLY, NOON - 2 * HOUR), began_at=NOON)
    assert due_at(HOURLY, state, last_used=NOON, now=NOON, jitter=0.0) == NOON + RETRY


@given(each_job, moments, st.floats(0, 3650 * DAY), jitters)
def test_a_clock_that_was_set_back_stops_nothing(
    job: Job, now: float, ahead: float, jitter: float
) -> None:
    state = ran(job, now + ahead)
    due = due_at(job, state, last_used=now + ahead, now=now, jitter=jitter)
    assert due <= now + job.quiet
    if ahead > MINUTE + 1:
        assert due == now


@given(each_job, moments, ages, jitters)
def test_it_does_not_move_away_from_whoever_waits_for_it(
    job: Job, now: float, age: float, jitter: float
) -> None:
    """Asked again when it was said to be due, it is."""
    state = ran(job, now - age)
    due = due_at(job, state, last_used=now, now=now, jitter=jitter)
    later = max(due, now)
    assert due_at(job, state, last_used=later, now=later, jitter=jitter) <= later

"""The state machine, transition by transition; ``test_simulation.py`` has the interleavings."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.containers.lifecycle import (
    BACKOFF_CAP,
    STEADY_SECONDS,
    Action,
    Event,
    Kept,
    Killed,
    LeasesCounted,
    Life,
    Lost,
    Needed,
    Objected,
    Seen,
    SleepAsked,
    State,
    StopEnded,
    WakeEnded,
    Yielded,
    backoff,
    step,
)
from app.containers.observed import Standing

UP, DOWN, PAUSED, GONE = Standing.UP, Standing.DOWN, Standing.PAUSED, Standing.GONE
NOW = 100.0


def life_in(state: State, **more: object) -> Life:
    return replace(Life(state, since=10.0, attempt=7), **more)  # type: ignore[arg-type]


def after(life: Life, event: Event, now: float = NOW) -> tuple[Life, tuple[Action, ...]]:
    return step(life, event, now, random.Random(1))


def seen(standing: Standing, **more: object) -> Seen:
    return replace(Seen(standing, asked_at=NOW), **more)  # type: ignore[arg-type]


TRANSITIONS: list[tuple[Life, Event, State, tuple[Action, ...]]] = [
    (life_in(State.ASLEEP), Needed(), State.WAKING, (Action.START,)),
    (life_in(State.WAKING), Needed(), State.WAKING, ()),
    (life_in(State.AWAKE), Needed(), State.AWAKE, ()),
    (life_in(State.DRAINING), Needed(), State.AWAKE, ()),
    (life_in(State.STOPPING), Needed(), State.STOPPING, ()),
    (life_in(State.MISSING), Needed(), State.MISSING, ()),
    (life_in(State.FAILED, retry_at=NOW + 1), Needed(), State.FAILED, ()),
    (life_in(State.FAILED, retry_at=NOW), Needed(), State.WAKING, (Action.START,)),
    (life_in(State.WAKING), WakeEnded(7, run="r"), State.AWAKE, ()),
    (life_in(State.WAKING), WakeEnded(6, run="r"), State.WAKING, ()),
    (life_in(State.WAKING), WakeEnded(7, fault="no"), State.FAILED, ()),
    (life_in(State.WAKING), WakeEnded(6, fault="no"), State.WAKING, ()),
    (life_in(State.AWAKE), SleepAsked(0), State.DRAINING, (Action.RECHECK,)),
    (life_in(State.AWAKE), SleepAsked(1), State.AWAKE, ()),
    (life_in(State.AWAKE), LeasesCounted(0), State.AWAKE, ()),
    (life_in(State.ASLEEP), SleepAsked(0), State.ASLEEP, ()),
    (life_in(State.WAKING), SleepAsked(0), State.WAKING, ()),
    (life_in(State.DRAINING), SleepAsked(0), State.DRAINING, ()),
    (life_in(State.DRAINING), LeasesCounted(0), State.STOPPING, (Action.STOP,)),
    (life_in(State.DRAINING), LeasesCounted(1), State.AWAKE, ()),
    (life_in(State.FAILED, up=True), SleepAsked(0), State.STOPPING, (Action.STOP,)),
    (life_in(State.FAILED), SleepAsked(0), State.FAILED, ()),
    (life_in(State.STOPPING), StopEnded(7), State.ASLEEP, ()),
    (life_in(State.STOPPING), StopEnded(6), State.STOPPING, ()),
    (life_in(State.STOPPING, wanted=True), StopEnded(7), State.WAKING, (Action.START,)),
    (life_in(State.STOPPING), StopEnded(7, fault="no"), State.WAKING, (Action.PROBE,)),
    (life_in(State.DRAINING), Objected(), State.AWAKE, ()),
    (life_in(State.AWAKE), Objected(), State.AWAKE, ()),
    (life_in(State.AWAKE), Yielded(), State.STOPPING, (Action.YIELD,)),
    (life_in(State.DRAINING), Yielded(), State.STOPPING, (Action.YIELD,)),
    (life_in(State.FAILED, up=True), Yielded(), State.STOPPING, (Action.YIELD,)),
    (life_in(State.FAILED), Yielded(), State.FAILED, ()),
    (life_in(State.ASLEEP), Yielded(), State.ASLEEP, ()),
    (life_in(State.WAKING), Yielded(), State.STOPPING, (Action.YIELD,)),
    (life_in(State.STOPPING, run="r"), Kept(7, "r"), State.AWAKE, ()),
    (life_in(State.STOPPING, run="r"), Kept(6, "r"), State.STOPPING, ()),
    (life_in(State.STOPPING, run="r"), Kept(7, "s"), State.WAKING, (Action.PROBE,)),
    (life_in(State.STOPPING, run="r"), Kept(7), State.WAKING, (Action.PROBE,)),
    (life_in(State.AWAKE, run="r"), Kept(7, "r"), State.AWAKE, ()),
    (life_in(State.AWAKE), Killed(), State.STOPPING, (Action.AWAIT_DOWN,)),
    (life_in(State.DRAINING), Killed(), State.STOPPING, (Action.AWAIT_DOWN,)),
    (life_in(State.WAKING), Killed(), State.STOPPING, (Action.AWAIT_DOWN,)),
    (life_in(State.FAILED, up=True), Killed(), State.STOPPING, (Action.AWAIT_DOWN,)),
    (life_in(State.FAILED), Killed(), State.FAILED, ()),
    (life_in(State.ASLEEP), Killed(), State.ASLEEP, ()),
    (life_in(State.MISSING), seen(UP), State.WAKING, (Action.PROBE,)),
    (life_in(State.MISSING, doomed=True), seen(UP), State.STOPPING, (Action.AWAIT_DOWN,)),
    (
        life_in(State.MISSING, doomed=True, run="r"),
        seen(UP, run="r"),
        State.STOPPING,
        (Action.AWAIT_DOWN,),
    ),
    (
        life_in(State.MISSING, doomed=True, run="r"),
        seen(UP, run="s"),
        State.WAKING,
        (Action.PROBE,),
    ),
    (life_in(State.MISSING), seen(DOWN), State.ASLEEP, ()),
    (life_in(State.MISSING), seen(PAUSED), State.ASLEEP, ()),
    (life_in(State.MISSING, retry_at=NOW + 1), seen(DOWN), State.FAILED, ()),
    (life_in(State.MISSING), seen(GONE), State.MISSING, ()),
    (life_in(State.ASLEEP), seen(UP), State.WAKING, (Action.PROBE,)),
    (life_in(State.ASLEEP), seen(DOWN, fault="old"), State.ASLEEP, ()),
    (life_in(State.ASLEEP), seen(GONE), State.MISSING, ()),
    (life_in(State.AWAKE, run="r"), seen(UP, run="r"), State.AWAKE, ()),
    (life_in(State.AWAKE, run="r"), seen(UP, run="s"), State.WAKING, (Action.PROBE,)),
    (life_in(State.AWAKE, run="r"), seen(UP), State.AWAKE, ()),
    (life_in(State.AWAKE), seen(DOWN), State.ASLEEP, ()),
    (life_in(State.AWAKE), seen(PAUSED), State.ASLEEP, ()),
    (life_in(State.AWAKE), seen(GONE), State.MISSING, ()),
    (life_in(State.AWAKE), seen(DOWN, fault="exit 1"), State.ASLEEP, ()),
    (life_in(State.DRAINING), seen(DOWN, fault="exit 1"), State.ASLEEP, ()),
    (life_in(State.FAILED, retry_at=NOW + 1, run="r"), seen(UP, run="r"), State.FAILED, ()),
    (
        life_in(State.FAILED, retry_at=NOW + 1, run="r"),
        seen(UP, run="s"),
        State.WAKING,
        (Action.PROBE,),
    ),
    (life_in(State.FAILED, run="r"), seen(UP, run="r"), State.WAKING, (Action.PROBE,)),
    (life_in(State.FAILED), seen(DOWN), State.FAILED, ()),
    (life_in(State.WAKING), seen(DOWN), State.WAKING, ()),
    (life_in(State.WAKING), seen(GONE), State.WAKING, ()),
    (life_in(State.STOPPING), seen(UP), State.STOPPING, ()),
    (life_in(State.STOPPING), seen(DOWN), State.STOPPING, ()),
    (life_in(State.AWAKE), Lost("x"), State.MISSING, (Action.ABANDON,)),
    (life_in(State.WAKING), Lost("x"), State.MISSING, (Action.ABANDON,)),
    (life_in(State.STOPPING), Lost("x"), State.MISSING, (Action.ABANDON,)),
    (life_in(State.MISSING), Lost("x"), State.MISSING, ()),
]


@pytest.mark.parametrize(("life", "event", "state", "actions"), TRANSITIONS)
def test_transition(life: Life, event: Event, state: State, actions: tuple[Action, ...]) -> None:
    result, wanted = after(life, event)
    assert (result.state, wanted) == (state, actions)
    if state is not life.state:
        assert result.since == NOW
    if set(wanted) & {Action.START, Action.PROBE, Action.STOP, Action.AWAIT_DOWN}:
        assert result.attempt == life.attempt + 1, "each worker has a number of its own"


@pytest.mark.parametrize("state", [state for state in State if state is not State.MISSING])
def test_an_observation_from_before_the_state_says_nothing(state: State) -> None:
    life = life_in(state, since=50.0)
    for standing in Standing:
        assert after(life, Seen(standing, asked_at=49.9, run="other")) == (life, ())


def test_a_need_during_a_stop_is_kept_until_it_is_down() -> None:
    life, _ = after(life_in(State.STOPPING, up=True), Needed())
    assert life.wanted
    life, actions = after(life, StopEnded(7))
    assert actions == (Action.START,)
    assert not life.up
    awake, _ = after(life, WakeEnded(life.attempt, run="r"))
    assert not awake.wanted


def test_a_kill_while_it_wakes_is_waited_for_and_then_woken_again() -> None:
    life, _ = after(life_in(State.WAKING, wanted=True), Killed())
    assert after(life, StopEnded(life.attempt))[1] == (Action.START,)


def test_one_that_another_stops_since_before_we_came_is_woken_when_somebody_needs_it() -> None:
    for wanted, then in ((True, Action.START), (False, None)):
        life, actions = after(life_in(State.WAKING, wanted=wanted, up=True), Yielded())
        assert (life.state, actions) == (State.STOPPING, (Action.YIELD,))
        assert after(life, StopEnded(life.attempt))[1] == ((then,) if then else ())
        assert after(life, Kept(life.attempt, "r"))[1] == (Action.PROBE,)


def test_one_that_was_started_by_hand_and_killed_is_not_woken_for_nobody() -> None:
    adopted, _ = after(life_in(State.ASLEEP), seen(UP))
    killed, _ = after(adopted, Killed())
    assert after(killed, StopEnded(killed.attempt))[0].state is State.ASLEEP
    needed, _ = after(adopted, Needed())
    killed, _ = after(needed, Killed())
    assert after(killed, StopEnded(killed.attempt))[1] == (Action.START,)


def test_why_it_does_not_come_up_is_remembered_while_the_engine_is_lost() -> None:
    failed = life_in(State.FAILED, retry_at=NOW + 9, error="exit 1")
    lost, _ = after(failed, Lost("out of reach"))
    assert after(after(lost, Lost("still"))[0], seen(DOWN))[0].error == "exit 1"


def test_a_stop_that_was_lost_sight_of_is_remembered() -> None:
    life, _ = after(life_in(State.STOPPING, doomed=True), Lost("gone"))
    assert life.doomed
    assert life.error == "gone"
    life, actions = after(life, seen(UP))
    assert (life.state, actions) == (State.STOPPING, (Action.AWAIT_DOWN,))


def test_failures_count_up_and_a_good_wake_ends_the_backoff() -> None:
    life = life_in(State.ASLEEP)
    waits = []
    for _ in range(3):
        life, _ = after(replace(life, retry_at=0.0), Needed())
        life, _ = after(life, WakeEnded(life.attempt, fault="broken", slow=True))
        assert (life.error, life.slow) == ("broken", True)
        waits.append(life.retry_at - NOW)
    assert life.failures == 3
    assert waits[0] < waits[1] < waits[2]
    life, _ = after(replace(life, retry_at=0.0), Needed())
    life, _ = after(life, WakeEnded(life.attempt, run="r"))
    assert (life.state, life.error, life.retry_at, life.slow) == (State.AWAKE, None, 0.0, False)


def test_the_first_crash_is_forgiven_the_second_is_not() -> None:
    life, _ = after(life_in(State.AWAKE, since=NOW - 1), seen(DOWN, fault="exit 1"))
    assert (life.state, life.failures, life.error) == (State.ASLEEP, 1, "exit 1")
    life, _ = after(life, Needed())
    life, _ = after(life, WakeEnded(life.attempt, run="r"))
    life, _ = after(life, seen(DOWN, fault="exit 1"))
    assert (life.state, life.failures) == (State.FAILED, 2)
    assert life.retry_at > NOW


def test_a_crash_after_a_long_good_time_is_a_first_one() -> None:
    awake = life_in(State.AWAKE, failures=5, since=NOW - STEADY_SECONDS)
    life, _ = after(awake, seen(DOWN, fault="exit 1"))
    assert (life.state, life.failures) == (State.ASLEEP, 1)


def test_a_clean_sleep_forgets_the_failures() -> None:
    life, _ = after(life_in(State.STOPPING, failures=4, error="x"), StopEnded(7))
    assert (life.failures, life.error) == (0, None)


def test_a_stop_that_failed_is_told() -> None:
    life, _ = after(life_in(State.STOPPING, up=True), StopEnded(7, fault="it did not stop"))
    assert life.error == "it did not stop"


@given(st.integers(min_value=-3, max_value=10_000), st.integers())
def test_backoff_is_bounded(failures: int, seed: int) -> None:
    seconds = backoff(failures, random.Random(seed))
    assert 0.75 <= seconds <= BACKOFF_CAP * 1.25


def test_what_had_failed_and_was_yielded_is_probed_when_it_is_kept() -> None:
    yielded, _ = step(life_in(State.FAILED, up=True, run="r"), Yielded(), NOW, random.Random(1))
    kept, actions = step(yielded, Kept(yielded.attempt, "r"), NOW, random.Random(1))
    assert (kept.state, actions) == (State.WAKING, (Action.PROBE,))


def test_a_need_while_it_is_yielded_is_served_whether_it_was_kept_or_not() -> None:
    rng = random.Random(1)
    yielded, _ = step(life_in(State.AWAKE, run="r"), Yielded(), NOW, rng)
    wanted, _ = step(yielded, Needed(), NOW, rng)
    assert step(wanted, Kept(wanted.attempt, "r"), NOW, rng)[0].state is State.AWAKE
    down, actions = step(wanted, StopEnded(wanted.attempt), NOW, rng)
    assert (down.state, actions) == (State.WAKING, (Action.START,))

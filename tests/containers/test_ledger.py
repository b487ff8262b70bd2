"""The books: every second is booked once, and what is told of wakes is what happened."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.containers.ledger import (
    FOUND,
    MOST_ACCOUNTS,
    MOST_CAUSES,
    NOTHING,
    OTHERS,
    UNKNOWN,
    UNSEEN,
    Account,
    bounded,
    kept_up,
    moved,
    resumed,
    settled,
    slept,
    to_weigh,
    weighed,
    woke,
)
from app.containers.lifecycle import State

NEW = Account(opened=1_000.0, until=1_000.0)


def lived(*stages: tuple[State, str, float]) -> Account:
    """An account after these moves: (state, cause, when)."""
    account, was = NEW, State.MISSING
    for state, cause, at in stages:
        account = moved(account, was, state, cause, at)
        was = state
    return account


def test_time_is_booked_on_the_state_in_which_it_passed() -> None:
    account = lived(
        (State.ASLEEP, "found so", 0.0),
        (State.WAKING, "a request", 10.0),
        (State.AWAKE, "a request", 11.0),
        (State.DRAINING, "idle", 71.0),
        (State.STOPPING, "idle", 72.0),
        (State.ASLEEP, "idle", 74.0),
    )
    account = settled(account, 100.0)
    assert account.seconds == {
        "asleep": 36.0,
        "waking": 1.0,
        "awake": 60.0,
        "draining": 1.0,
        "stopping": 2.0,
    }
    assert account.awake == 61.0


def test_what_keeps_it_up_gets_the_time_since_the_look_before() -> None:
    account = lived((State.WAKING, "a request", 0.0), (State.AWAKE, "a request", 1.0))
    account = kept_up(account, "in use", 10.0, frees=True)
    account = kept_up(account, "used not long ago", 20.0, frees=True)
    account = kept_up(account, None, 30.0, frees=True)
    account = moved(account, State.AWAKE, State.DRAINING, "idle", 31.0)
    assert account.keepers == {"in use": 9.0, "used not long ago": 10.0, NOTHING: 11.0}


def test_a_short_time_awake_that_nobody_looked_at_is_told_as_such() -> None:
    account = lived(
        (State.WAKING, "a request", 0.0),
        (State.AWAKE, "a request", 1.0),
        (State.DRAINING, "operator", 3.0),
    )
    assert account.keepers == {UNSEEN: 2.0}


def test_wakes_are_told_by_cause_and_who_was_found_running_was_not_woken() -> None:
    account = lived(
        (State.WAKING, "by hand", 0.0),
        (State.AWAKE, "by hand", 0.1),
        (State.ASLEEP, "by hand", 1.0),
        (State.WAKING, "by hand", 2.0),
        (State.AWAKE, "by hand", 2.1),
        (State.ASLEEP, "idle", 3.0),
        (State.WAKING, "a request", 4.0),
    )
    assert account.causes == {FOUND: 1, "by hand": 1, "a request": 1}


def test_only_wakes_that_somebody_waited_for_are_timed() -> None:
    by_hand = woke(lived((State.WAKING, "by hand", 0.0)), "ready", 0.004)
    asked = woke(moved(by_hand, State.ASLEEP, State.WAKING, "a request", 5.0), "ready", 0.25)
    failed = woke(moved(asked, State.FAILED, State.WAKING, "a request", 6.0), "slow", 60.0)
    assert failed.wakes == {"ready": 2, "slow": 1}
    assert (failed.times.count, failed.times.quantile(0.5)) == (1, 0.25)


def test_causes_that_are_too_many_are_counted_together() -> None:
    account = NEW
    for number in range(2 * MOST_CAUSES):
        account = moved(account, State.ASLEEP, State.WAKING, f"operator {number}", float(number))
    assert len(account.causes) == MOST_CAUSES
    assert account.causes[OTHERS] == MOST_CAUSES + 1
    assert sum(account.causes.values()) == 2 * MOST_CAUSES


def test_sleeps_are_counted_by_reason() -> None:
    assert slept(slept(slept(NEW, "idle"), "idle"), "memory").sleeps == {"idle": 2, "memory": 1}


def test_sleep_saves_the_mean_of_what_was_used_when_it_was_awake() -> None:
    account = lived((State.WAKING, "a request", 0.0), (State.AWAKE, "a request", 1.0))
    account = weighed(weighed(account, 100, 2.0), 300, 3.0)
    account = moved(account, State.AWAKE, State.ASLEEP, "idle", 10.0)
    assert settled(account, 15.0).saved == 5 * 200.0
    again = moved(settled(account, 15.0), State.ASLEEP, State.WAKING, "a request", 15.0)
    again = moved(again, State.WAKING, State.AWAKE, "a request", 16.0)
    again = weighed(again, 50, 17.0)
    assert again.memory == 50, "what it used before it slept says nothing about now"
    assert again.saved == 1_000.0, "while it is up it saves nothing"


@pytest.mark.parametrize(("memory", "frees"), [(None, True), (100, False)])
def test_without_a_figure_and_when_paused_nothing_is_saved(memory: int | None, frees: bool) -> None:
    account = lived((State.WAKING, "a request", 0.0), (State.AWAKE, "a request", 1.0))
    account = account if memory is None else weighed(account, memory, 2.0)
    account = kept_up(account, None, 3.0, frees=frees)
    account = moved(account, State.AWAKE, State.ASLEEP, "idle", 4.0)
    assert settled(account, 100.0).saved == 0


def test_those_awake_are_weighed_in_turn() -> None:
    awake = lived((State.WAKING, "a request", 0.0), (State.AWAKE, "a request", 1.0))
    accounts = {
        "asleep": lived((State.ASLEEP, "found so", 0.0)),
        "b": weighed(awake, 1, 5.0),
        "a": weighed(awake, 1, 6.0),
    }
    assert to_weigh(accounts) == "b"
    assert to_weigh({**accounts, "new": awake}) == "new"
    assert to_weigh({"asleep": accounts["asleep"]}) is None


def test_a_gap_is_told_as_unknown_and_not_guessed() -> None:
    account = replace(settled(lived((State.ASLEEP, "found so", 0.0)), 100.0), until=1_100.0)
    back = resumed(replace(account, state=None), 1_160.0, 7.0)
    back = moved(back, State.MISSING, State.ASLEEP, "found so", 9.0)
    assert settled(back, 10.0).seconds == {"asleep": 101.0, UNKNOWN: 62.0}


def test_a_clock_that_was_set_back_adds_nothing() -> None:
    assert resumed(NEW, 0.0, 5.0).seconds == {}


def test_too_many_accounts_lose_those_that_are_gone() -> None:
    seen = lived((State.ASLEEP, "found so", 0.0))
    gone = lived((State.MISSING, "gone", 0.0))
    accounts = {f"gone{n}": gone for n in range(10)} | {
        f"{n}": seen for n in range(MOST_ACCOUNTS - 3)
    }
    kept = bounded(accounts)
    assert len(kept) == MOST_ACCOUNTS
    assert sum(name.startswith("gone") for name in kept) == 3


steps = st.lists(
    st.tuples(
        st.sampled_from([*State, "look", "weigh", "restart"]),
        st.floats(min_value=0, max_value=1e4),
        st.sampled_from(["in use", None, "a veto"]),
    ),
    max_size=40,
)


@given(steps)
def test_whatever_happens_every_second_is_booked_once(
    happened: list[tuple[State | str, float, str | None]],
) -> None:
    account, was, now, wall = NEW, State.MISSING, 0.0, 1_000.0
    for what, passed, keeper in happened:
        now, wall = now + passed, wall + passed
        if isinstance(what, State):
            account, was = moved(account, was, what, "a request", now), what
        elif what == "look":
            account = kept_up(account, keeper, now, frees=True)
        elif what == "weigh":
            account = weighed(account, 1, now)
        else:
            until = account.until if account.state is None else wall
            account = replace(settled(account, now), until=until, state=None)
            # Another process, and its clock begins anywhere.
            now, wall = now / 2, wall + 5.0
            account = resumed(account, wall, now)
    account = moved(account, was, State.ASLEEP, "idle", now)
    assert sum(account.seconds.values()) == pytest.approx(wall - account.opened)
    assert sum(account.keepers.values()) == pytest.approx(account.awake)

"""The three timers, what keeps answers from growing old together, and refreshing in time."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.cache.freshness import (
    EARLY,
    Judgement,
    Policies,
    Policy,
    Verdict,
    good_for,
    is_nearly_over,
    is_storable,
    jitter,
    judge,
    should_refresh_early,
)
from app.kingdom.operation import Freshness

POLICY = Policy(fresh=10, grace=20, keep=30)


@pytest.mark.parametrize(
    ("age", "verdict"),
    [
        (0, Verdict.FRESH),
        (9.9, Verdict.FRESH),
        (10, Verdict.GRACE),
        (29.9, Verdict.GRACE),
        (30, Verdict.KEPT),
        (59.9, Verdict.KEPT),
        (60, Verdict.EXPIRED),
    ],
)
def test_the_timers_follow_each_other(age: float, verdict: Verdict) -> None:
    judgement = judge(1000.0, POLICY, 1000.0 + age)
    assert judgement.verdict is verdict
    assert judgement.age == pytest.approx(age)
    assert judgement.ttl == pytest.approx(10 - age)


def test_kept_for_ever_never_expires() -> None:
    policy = Policy(1, 1, math.inf)
    assert judge(0, policy, 1e12).verdict is Verdict.KEPT


def test_a_clock_that_was_set_back_makes_nothing_fresh_for_longer() -> None:
    assert judge(5000.0, POLICY, 1000.0) == Judgement(Verdict.GRACE, 0, 0)
    assert judge(1000.5, POLICY, 1000.0) == Judgement(Verdict.FRESH, 0, 10)


@given(st.floats(0, 1e9), st.floats(0, 1e9))
def test_an_answer_never_gets_better_with_age(one: float, other: float) -> None:
    order = list(Verdict)
    younger, older = sorted((one, other))
    assert order.index(judge(0, POLICY, younger).verdict) <= order.index(
        judge(0, POLICY, older).verdict
    )


@pytest.mark.parametrize(
    ("age", "verdict"),
    [
        (8.9, Verdict.FRESH),
        (9, Verdict.GRACE),
        (28.9, Verdict.GRACE),
        (29, Verdict.KEPT),
        (58.9, Verdict.KEPT),
        (59, Verdict.EXPIRED),
    ],
)
def test_jitter_moves_the_end_of_the_fresh_time_and_what_follows(
    age: float, verdict: Verdict
) -> None:
    judgement = judge(0.0, POLICY, age, 0.9)
    assert judgement.verdict is verdict
    assert judgement.ttl == pytest.approx(9 - age)


@given(st.floats(0, 1e5), st.floats(0.9, 1.1))
def test_the_header_and_the_verdict_agree_on_the_fresh_time(age: float, stretch: float) -> None:
    judgement = judge(1.7e9, Policy(30, 60, math.inf), 1.7e9 + age, stretch)
    assert judgement.fresh == pytest.approx(30 * stretch, abs=0.001)
    assert (judgement.verdict is Verdict.FRESH) == (judgement.age < 30 * stretch)


@given(st.integers(0, 10_000))
def test_a_whole_fresh_time_is_told_as_such_at_any_age(milliseconds: int) -> None:
    judgement = judge(1.7e9, Policy(30, 60, math.inf), 1.7e9 + milliseconds / 1000)
    assert judgement.fresh == 30


def test_nobody_knows_how_long_something_from_the_future_is_fresh() -> None:
    assert judge(5000.0, POLICY, 1000.0, 1.1).fresh == 0


# Parts of a second that floating-point numbers have without error.
PARTS = st.integers(0, 1_000_000).map(lambda parts: parts / 1024)
LEFT = st.integers(-1_000_000, 1_000_000).map(lambda parts: parts / 1024)
FETCHES = st.integers(0, 2048).map(lambda parts: parts / 1024)


def judged(age: float, ttl: float) -> Judgement:
    return Judgement(Verdict.FRESH if ttl > 0 else Verdict.GRACE, age, ttl)


@given(PARTS, LEFT, FETCHES, st.integers(0, 1023))
def test_while_an_answer_is_good_nothing_that_is_told_in_seconds_changes(
    age: float, ttl: float, fetch_seconds: float, later: int
) -> None:
    seconds = good_for(judged(age, ttl), fetch_seconds)
    assert 0 <= seconds <= 1
    assert ttl <= 0 or seconds <= ttl
    # Whole parts again, for a tenth of a second has none.
    moment = int(seconds * 1024) / 1024 * later / 1024
    assert (int(age + moment), int(ttl - moment)) == (int(age), int(ttl))


@given(PARTS, LEFT, FETCHES)
def test_nobody_looks_again_until_something_changes_or_is_due(
    age: float, ttl: float, fetch_seconds: float
) -> None:
    judgement = judged(age, ttl)
    seconds = good_for(judgement, fetch_seconds)
    changes = int(age + seconds) == int(age) + 1 or (ttl - seconds) % 1 == 0
    due = judgement.verdict is not Verdict.FRESH or ttl - seconds <= EARLY * fetch_seconds
    assert changes or due
    assert seconds > 0 or changes or fetch_seconds == 0


@given(PARTS, LEFT, FETCHES)
def test_what_may_be_due_is_looked_at_often(age: float, ttl: float, fetch_seconds: float) -> None:
    judgement = judged(age, ttl)
    seconds = good_for(judgement, fetch_seconds)
    if judgement.verdict is not Verdict.FRESH:
        assert seconds <= 0.1
    elif is_nearly_over(judgement, fetch_seconds):
        assert seconds <= min(0.1, fetch_seconds / 4)
    else:
        assert seconds <= max(0.1, ttl - EARLY * fetch_seconds)


@pytest.mark.parametrize(
    ("ttl", "fetch_seconds", "over"),
    [(10.0, 0.5, False), (5.0, 0.5, False), (4.9, 0.5, True), (0.1, 0.0, False), (-1, 0.0, True)],
)
def test_an_answer_is_nearly_over_ten_fetches_before_its_end(
    ttl: float, fetch_seconds: float, over: bool
) -> None:
    assert is_nearly_over(judged(1.0, ttl), fetch_seconds) is over


@given(st.text())
def test_jitter_is_at_most_a_tenth(key: str) -> None:
    assert 0.9 <= jitter(key) <= 1.1


def test_jitter_is_the_same_in_every_process() -> None:
    assert jitter("players") == pytest.approx(0.929926344, abs=1e-9)


def test_answers_stored_together_end_apart() -> None:
    chance = random.Random(3)
    ends = sorted(jitter(f"{chance.getrandbits(128):032x}") for _ in range(1000))
    tenths = [sum(0.9 + n / 50 <= end < 0.92 + n / 50 for end in ends) for n in range(10)]
    assert min(tenths) > 70
    assert jitter("a") != jitter("b")


@pytest.mark.parametrize(
    ("ttl", "fetch_seconds", "chance", "beta", "early"),
    [
        (1.0, 1.0, 0.36, 1.0, True),
        (1.0, 1.0, 0.37, 1.0, False),
        (5.0, 1.0, 0.0067, 1.0, True),
        (5.0, 1.0, 0.0068, 1.0, False),
        (5.0, 1.0, 0.08, 2.0, True),
        (5.0, 1.0, 0.09, 2.0, False),
        (0.1, 0.0, 1e-300, 1.0, False),
        (1e-9, 10.0, 1.0, 1.0, False),
        (0.0, 1.0, 1.0, 1.0, True),
        (-1.0, 0.0, 1.0, 1.0, True),
    ],
)
def test_when_an_answer_is_refreshed_early(
    ttl: float, fetch_seconds: float, chance: float, beta: float, early: bool
) -> None:
    assert should_refresh_early(ttl, fetch_seconds, chance, beta) is early


@pytest.mark.parametrize(
    ("fetches_left", "share"), [(0.5, 0.607), (1, 0.368), (2, 0.135), (5, 0.0067)]
)
def test_how_many_requests_refresh_early(fetches_left: float, share: float) -> None:
    draws = 100_000
    early = sum(
        should_refresh_early(fetches_left * 0.3, 0.3, (number + 1) / draws)
        for number in range(draws)
    )
    assert early / draws == pytest.approx(share, rel=0.01)


CHANCES = st.floats(0, 1, exclude_min=True)


@given(st.floats(0, 1e4), st.floats(0, 1e4), st.floats(0, 60), CHANCES)
def test_the_end_coming_closer_never_makes_a_refresh_less_likely(
    one: float, other: float, fetch_seconds: float, chance: float
) -> None:
    sooner, later = sorted((one, other))
    if should_refresh_early(later, fetch_seconds, chance):
        assert should_refresh_early(sooner, fetch_seconds, chance)


def policies(keep: float = math.inf) -> Policies:
    return Policies(dict.fromkeys(Freshness, 30.0), negative=60.0, keep=keep)


def test_answers_that_say_no_have_a_policy_of_their_own() -> None:
    for status in (404, 422):
        policy = policies().of(Freshness.STATIC, status)
        assert (policy.fresh, policy.grace) == (60.0, 0.0)
        assert policy.keep < math.inf


def test_a_bound_on_stale_answers_bounds_grace_too() -> None:
    policy = policies(keep=5.0).of(Freshness.STATIC, 200)
    assert (policy.grace, policy.keep) == (5.0, 5.0)


@pytest.mark.parametrize(
    ("status", "storable"), [(200, True), (404, True), (422, True), (400, False), (500, False)]
)
def test_what_is_remembered(status: int, storable: bool) -> None:
    assert is_storable(status) is storable

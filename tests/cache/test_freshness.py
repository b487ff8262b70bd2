"""The three timers."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.cache.freshness import Judgement, Policies, Policy, Verdict, is_storable, judge
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

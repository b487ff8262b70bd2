from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import UpstreamError, UpstreamRefused, UpstreamTimeout, UpstreamUnreachable
from app.upstream.breaker import Breaker, BreakerPolicy, Failure
from app.upstream.lie import Lie

POLICY = BreakerPolicy()
RNG = random.Random(7)


def failing(breaker: Breaker, *labels: str, weight: int = 1, alone: bool = True) -> Breaker:
    """``breaker`` after a failure of each of ``labels``, a second apart, at 100 s and later."""
    for second, label in enumerate(labels, start=100):
        failure = Failure(label, weight, began=second - 0.5, now=float(second))
        breaker = breaker.failed(failure, POLICY, RNG, alone=alone)
    return breaker


def opened(*labels: str) -> Breaker:
    return failing(Breaker(), *(labels or ("players", "clans")), weight=3)


@pytest.mark.parametrize(
    ("error", "weight"),
    [
        (UpstreamUnreachable("gone"), 1),
        (UpstreamRefused("status 503", status=503), 1),
        (UpstreamRefused("status 429", status=429), 0),
        (UpstreamTimeout("slow"), 3),
        (Lie("html", "a page"), 0),
    ],
)
def test_what_a_failure_says_about_the_upstream(error: UpstreamError, weight: int) -> None:
    assert POLICY.weight(error) == weight


def test_six_failures_in_a_row_open_it() -> None:
    five = failing(Breaker(), *["players"] * 5)
    six = failing(five, "players")

    assert (five.state, five.verdict(105.0, "players")) == ("closed", "go")
    assert (six.state, six.verdict(100.5, "players")) == ("open", "refuse")
    assert (six.failing_since, six.opened) == (100.0, 1)


def test_two_timeouts_in_a_row_open_it() -> None:
    assert failing(Breaker(), "players", weight=3).state == "closed"
    assert failing(Breaker(), "players", "clans", weight=3).state == "open"


def test_one_answer_between_them_and_they_are_not_in_a_row() -> None:
    breaker = failing(Breaker(), *["players"] * 5).answered(began=105.0, now=106.0)

    assert breaker == Breaker()
    assert failing(breaker, *["players"] * 5).state == "closed"


def test_they_follow_one_another_in_the_order_of_asking() -> None:
    hung = [
        Failure("players", 3, began, now=began + 10.0, heard=102.0)
        for began in (100.0, 101.9, 102.0)
    ]

    after = [Breaker().failed(failure, POLICY, RNG) for failure in hung]

    assert [breaker.score for breaker in after] == [0, 0, 3]


@pytest.mark.parametrize(
    ("began", "heard", "news"),
    [(101.0, 90.0, True), (100.0, 90.0, True), (99.0, 90.0, False), (101.0, 102.0, False)],
)
def test_what_was_overtaken_by_a_change_or_by_an_answer_is_no_news(
    began: float, heard: float, news: bool
) -> None:
    assert Breaker(changed_at=100.0).is_news(began, heard) == news


def test_one_operation_that_is_not_alone_does_not_open_it_and_a_second_one_does() -> None:
    breaker = failing(Breaker(), *["players"] * 50, alone=False)

    assert breaker.state == "closed"
    assert failing(breaker, "clans", alone=False).state == "open"


def test_what_weighs_nothing_changes_nothing_while_it_is_closed() -> None:
    breaker = failing(Breaker(), "players")

    assert failing(breaker, *["players"] * 50, weight=0) == breaker


def test_open_it_refuses_until_its_time_and_then_lets_one_through() -> None:
    breaker = opened()
    due = breaker.until

    assert 102.0 <= due <= 102.5
    assert breaker.left(101.0) == due - 101.0
    assert breaker.verdict(due - 0.01, "players") == "refuse"
    assert breaker.verdict(due, "players") == "probe"
    probing = breaker.probing(due)
    assert (probing.state, probing.verdict(due + 99, "clans")) == ("half-open", "trying")
    assert (breaker.left(due + 5), probing.left(due)) == (0.0, 0.0)


def test_what_was_under_way_before_neither_closes_nor_reopens_it() -> None:
    breaker = opened()
    probing = breaker.probing(110.0)
    late = Failure("players", 3, began=90.0, now=111.0)

    assert breaker.answered(began=90.0, now=101.0) == breaker
    assert probing.answered(began=109.0, now=111.0) == probing
    assert probing.failed(late, POLICY, RNG) == probing
    closed = probing.answered(began=110.0, now=111.0)
    assert (closed.state, closed.score, closed.failing_since) == ("closed", 0, None)
    assert closed.failed(late, POLICY, RNG) == closed


def test_each_probe_that_fails_makes_it_wait_longer_up_to_five_seconds() -> None:
    breaker, waits = opened(), []
    for _ in range(40):
        waits.append(breaker.until - breaker.changed_at)
        probing = breaker.probing(breaker.until)
        failure = Failure("players", 1, began=probing.changed_at, now=probing.changed_at + 0.1)
        breaker = probing.failed(failure, POLICY, RNG)

    assert 1.0 <= waits[0] <= 1.5
    assert 2.0 <= waits[1] <= 3.0
    assert all(5 / 1.5 - 1e-6 <= wait <= 5.0 + 1e-6 for wait in waits[2:])
    assert len(set(waits)) == len(waits)
    assert (breaker.state, breaker.failing_since) == ("open", 100.0)


def test_a_probe_that_comes_back_with_nonsense_does_not_close_it_but_the_next_is_soon() -> None:
    probing = replace(opened(), opened=9).probing(200.0)
    after = probing.failed(Failure("items", 0, began=200.0, now=200.1), POLICY, RNG)

    assert (after.state, after.opened) == ("open", 1)
    assert 1.0 <= after.left(200.1) <= 1.5


def test_while_one_operation_is_all_that_failed_another_may_try_at_once() -> None:
    one = opened("players", "players")

    assert one.verdict(101.1, "players") == "refuse"
    assert one.verdict(101.1, "clans") == "probe"
    failed = one.probing(101.1).failed(Failure("clans", 1, 101.1, 101.2), POLICY, RNG)
    assert failed.verdict(101.3, "items") == "refuse"


def test_a_probe_that_was_stopped_may_soon_be_made_again() -> None:
    after = opened().probing(200.0).untried(201.0, POLICY)

    assert (after.state, after.until, after.opened) == ("open", 202.0, 1)


@given(st.integers(1, 10_000), st.integers())
def test_the_time_open_is_bounded_and_never_without_jitter(times: int, seed: int) -> None:
    seconds = POLICY.open_for(times, random.Random(seed))

    assert 1.0 <= seconds <= 5.0 + 1e-9
    assert seconds != POLICY.open_for(times, random.Random(seed + 1))


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["answer", "failure", "timeout", "nonsense", "ask", "stop"]),
        st.sampled_from(["players", "clans", "items"]),
        st.floats(0.0, 5.0),
        st.floats(0.0, 20.0),
    ),
    max_size=80,
)


@given(EVENTS, st.booleans())
def test_whatever_happens_one_probe_at_a_time_and_never_shut_for_good(
    events: list[tuple[str, str, float, float]], alone: bool
) -> None:
    breaker, now = Breaker(), 1000.0
    weights = {"failure": 1, "timeout": 3, "nonsense": 0}
    for what, label, step, took in events:
        now += step
        if what == "answer":
            breaker = breaker.answered(now - took, now)
        elif what in weights:
            failure = Failure(label, weights[what], now - took, now)
            breaker = breaker.failed(failure, POLICY, RNG, alone=alone)
        elif what == "ask" and breaker.verdict(now, label) == "probe":
            breaker = breaker.probing(now)
        elif what == "stop" and breaker.state == "half-open":
            breaker = breaker.untried(now, POLICY)
        assert (
            breaker.verdict(now, label)
            in {
                "closed": {"go"},
                "half-open": {"trying"},
                "open": {"probe", "refuse"},
            }[breaker.state]
        )
        assert breaker.left(now) <= 5.0 + 1e-9
        assert breaker.state != "open" or breaker.verdict(now + 5.1, label) == "probe"
        assert (breaker.state == "closed") <= (breaker.opened == 0)

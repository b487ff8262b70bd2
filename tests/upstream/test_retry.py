from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import (
    UpstreamError,
    UpstreamImplausible,
    UpstreamRefused,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from app.upstream.retry import RetryBudget, RetryPolicy

POLICY = RetryPolicy()
BROKEN = UpstreamUnreachable("it broke")


def refused(status: int, retry_after: float | None = None) -> UpstreamRefused:
    return UpstreamRefused("no", status=status, retry_after=retry_after)


def delay(failure: UpstreamError, *, made: int = 1, left: float = 10.0) -> float | None:
    return POLICY.delay(failure, made=made, left=left, timeout=10.0, rng=random.Random(1))


@pytest.mark.parametrize(
    ("failure", "made", "left", "again"),
    [
        (BROKEN, 1, 10.0, True),
        (BROKEN, 2, 10.0, True),
        (BROKEN, 3, 10.0, False),
        (BROKEN, 1, 0.9, False),
        (UpstreamImplausible("cut off"), 1, 10.0, False),
        (UpstreamTimeout("hung"), 1, 7.0, True),
        (UpstreamTimeout("hung"), 1, 4.0, True),
        (UpstreamTimeout("hung"), 1, 3.9, False),
        (refused(502), 1, 10.0, True),
        (refused(503), 1, 10.0, True),
        (refused(504), 2, 10.0, True),
        (refused(522), 1, 10.0, True),
        (refused(503, 5.0), 1, 10.0, True),
        (refused(503, 9.5), 1, 10.0, False),
        (refused(503, 60.0), 1, 10.0, False),
        (refused(429), 1, 10.0, False),
        (refused(429, 2.0), 1, 10.0, True),
        (refused(429, 11.0), 1, 10.0, False),
    ],
)
def test_which_failures_are_tried_again(
    failure: UpstreamError, made: int, left: float, again: bool
) -> None:
    assert (delay(failure, made=made, left=left) is not None) is again


def test_the_jitter_is_full_and_its_ceiling_doubles() -> None:
    rng = random.Random(3)
    for made, ceiling in ((1, 0.1), (2, 0.2)):
        delays = [
            POLICY.delay(BROKEN, made=made, left=10.0, timeout=10.0, rng=rng) for _ in range(300)
        ]
        seen = [value for value in delays if value is not None]
        assert len(seen) == 300
        assert min(seen) < ceiling * 0.1
        assert ceiling * 0.9 < max(seen) <= ceiling


@given(
    made=st.integers(1, 5),
    left=st.floats(0, 30),
    timeout=st.floats(0.1, 30),
    asked=st.none() | st.floats(0, 300),
    status=st.sampled_from([429, 502, 503, 504]),
    seed=st.integers(),
)
def test_a_wait_obeys_the_upstream_and_leaves_time_for_the_repeat(
    made: int, left: float, timeout: float, asked: float | None, status: int, seed: int
) -> None:
    wait = POLICY.delay(
        refused(status, asked), made=made, left=left, timeout=timeout, rng=random.Random(seed)
    )

    if wait is not None:
        assert made <= POLICY.repeats
        assert wait >= (asked or 0.0)
        assert left - wait >= POLICY.share_to_be_useful * timeout


def test_the_budget_starts_full_runs_dry_and_is_earned_back() -> None:
    budget = RetryBudget(capacity=3.0, earned=0.1)

    assert [budget.spend() for _ in range(4)] == [True, True, True, False]
    for _ in range(9):
        budget.earn()
    assert not budget.spend()
    budget.earn()
    assert budget.spend()
    assert not budget.spend()


@given(st.lists(st.booleans(), max_size=400))
def test_repeats_never_exceed_a_tenth_of_the_answers_and_the_start(events: list[bool]) -> None:
    budget = RetryBudget()
    answers = repeats = 0
    for answered in events:
        if answered:
            budget.earn()
            answers += 1
        elif budget.spend():
            repeats += 1
        assert 0.0 <= budget.tokens <= 10.0
        assert repeats <= 10 + answers / 10 + 1e-6

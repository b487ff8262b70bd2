from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.upstream.concurrency import Limit, background_share, may_go


def after_answers(limit: Limit, count: int) -> Limit:
    for _ in range(count):
        limit = limit.after_answer()
    return limit


def test_it_begins_as_high_as_it_may_and_answers_do_not_lift_it_further() -> None:
    assert after_answers(Limit.full(8), 50) == Limit.full(8)


def test_a_refusal_takes_a_third_and_the_rest_of_its_round_trip_takes_no_more() -> None:
    limit = Limit.full(10).after_refusal(began=1.0, now=2.0)

    assert limit.calls == 7
    assert limit.after_refusal(began=1.5, now=2.1) == limit
    assert limit.after_refusal(began=2.0, now=2.2) == limit
    assert limit.after_refusal(began=2.1, now=3.0).calls == 4


def test_it_never_falls_below_one() -> None:
    limit = Limit.full(3)
    for second in range(50):
        limit = limit.after_refusal(began=second, now=second + 0.5)

    assert (limit.calls, limit.height) == (1, 1.0)


@pytest.mark.parametrize(("answers", "calls"), [(0, 1), (1, 2), (3, 2), (4, 3), (36, 8), (99, 8)])
def test_it_grows_by_about_one_for_each_round_of_answers(answers: int, calls: int) -> None:
    assert after_answers(Limit(8, 1.0), answers).calls == calls


@pytest.mark.parametrize(("hanging", "calls"), [(0, 1), (5, 6), (8, 8)])
def test_after_a_recovery_there_is_room_for_one_beside_what_still_hangs(
    hanging: int, calls: int
) -> None:
    limit = Limit.full(8).again(hanging, now=5.0)

    assert limit.calls == calls
    assert limit.after_refusal(began=4.0, now=9.0) == limit


@given(st.integers(1, 256), st.lists(st.tuples(st.booleans(), st.floats(0.0, 100.0)), max_size=300))
def test_whatever_happens_it_stays_within_its_bounds(
    most: int, events: list[tuple[bool, float]]
) -> None:
    limit, now = Limit.full(most), 0.0
    for answered, took in events:
        now += 1.0
        before = limit
        limit = limit.after_answer() if answered else limit.after_refusal(now - took, now)
        assert 1 <= limit.calls <= most
        assert limit.height >= before.height if answered else limit.height <= before.height


@pytest.mark.parametrize(("limit", "share"), [(1, 1), (2, 1), (3, 1), (4, 2), (8, 4), (9, 4)])
def test_refreshes_leave_at_least_half_of_the_slots_to_callers(limit: int, share: int) -> None:
    assert background_share(limit) == share


@pytest.mark.parametrize(
    ("background", "running", "running_background", "in_front", "goes"),
    [
        (False, 0, 0, 0, True),
        (False, 3, 2, 9, True),
        (False, 4, 0, 0, False),
        (False, 5, 0, 0, False),
        (True, 0, 0, 0, True),
        (True, 3, 1, 0, True),
        (True, 3, 2, 0, False),
        (True, 4, 0, 0, False),
        (True, 0, 0, 1, False),
    ],
)
def test_who_may_go_of_four(
    background: bool, running: int, running_background: int, in_front: int, goes: bool
) -> None:
    assert goes == may_go(
        4,
        background=background,
        running=running,
        running_background=running_background,
        in_front=in_front,
    )

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.upstream.concurrency import Crowd, Limit, background_share, may_go, share_of


def after_answers(limit: Limit, count: int) -> Limit:
    for _ in range(count):
        limit = limit.after_answer(began=10.0)
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


def test_what_was_asked_before_a_cut_does_not_raise_it_again() -> None:
    limit = Limit.full(10).after_refusal(began=1.0, now=2.0)

    assert limit.after_answer(began=1.9) == limit
    assert limit.after_answer(began=2.0).height > limit.height


def test_after_a_recovery_it_begins_low_whatever_was_before() -> None:
    limit = Limit.full(8).again(now=5.0)

    assert limit.calls == 2
    assert limit.after_refusal(began=4.0, now=9.0) == limit
    assert limit.after_answer(began=4.0) == limit
    assert Limit.full(1).again(now=5.0).calls == 1


def test_then_it_doubles_with_each_round_until_it_is_full() -> None:
    limit, heights = Limit.full(20).again(now=5.0), []
    for _ in range(5):
        heights.append(limit.calls)
        limit = after_answers(limit, limit.calls)

    assert heights == [2, 4, 8, 16, 20]
    assert not limit.doubling


def test_the_first_refusal_ends_the_doubling() -> None:
    limit = after_answers(Limit.full(20).again(now=5.0), 8).after_refusal(began=6.0, now=7.0)

    assert limit.calls == 7
    assert after_answers(limit, 7).calls == 7
    assert after_answers(limit, 8).calls == 8


def test_under_a_smaller_share_it_is_as_low_at_once() -> None:
    assert Limit.full(8).within(4) == Limit.full(4)
    assert Limit(8, 2.5).within(4).height == 2.5


@pytest.mark.parametrize(("height", "heights"), [(4.0, [4, 8, 8]), (3.0, [3, 4, 5])])
def test_a_larger_share_is_climbed_to_in_large_steps_if_only_the_old_one_held_it(
    height: float, heights: list[int]
) -> None:
    limit, seen = Limit(4, height).within(8), []
    for _ in range(3):
        seen.append(limit.calls)
        limit = after_answers(limit, limit.calls + 1)

    assert seen == heights


@pytest.mark.parametrize(
    ("processes", "share"), [(-1, 8), (0, 8), (1, 8), (2, 4), (3, 2), (8, 1), (9, 1), (500, 1)]
)
def test_each_process_has_its_share_and_at_least_one(processes: int, share: int) -> None:
    assert share_of(8, processes) == share


@given(
    st.integers(1, 256),
    st.lists(
        st.tuples(
            st.sampled_from(["answer", "refusal", "again", "share"]),
            st.floats(0.0, 100.0),
            st.integers(1, 256),
        ),
        max_size=300,
    ),
)
def test_whatever_happens_it_stays_within_its_bounds(
    most: int, events: list[tuple[str, float, int]]
) -> None:
    limit, now = Limit.full(most), 0.0
    for what, took, share in events:
        now += 1.0
        before = limit
        if what == "answer":
            limit = limit.after_answer(now - took)
            assert before.height <= limit.height <= before.height + 1.0
        elif what == "refusal":
            limit = limit.after_refusal(now - took, now)
            assert limit.height <= before.height
        elif what == "again":
            limit = limit.again(now)
        else:
            limit = limit.within(share)
            assert limit.height <= before.height
        assert 1 <= limit.calls <= limit.most


@pytest.mark.parametrize(("limit", "share"), [(1, 1), (2, 1), (3, 1), (4, 2), (8, 4), (9, 4)])
def test_refreshes_leave_at_least_half_of_the_slots_to_callers(limit: int, share: int) -> None:
    assert background_share(limit) == share


@pytest.mark.parametrize(
    ("background", "crowd", "goes"),
    [
        (False, Crowd(), True),
        (False, Crowd(callers=1, refreshes=2, in_front=9), True),
        (False, Crowd(callers=4), False),
        (False, Crowd(callers=5), False),
        (False, Crowd(callers=1, refreshes=4), True),
        (False, Crowd(callers=2, refreshes=4), False),
        (False, Crowd(callers=1, refreshes=7), False),
        (False, Crowd(callers=3, aside=12), True),
        (False, Crowd(callers=3, aside=13), False),
        (True, Crowd(), True),
        (True, Crowd(callers=2, refreshes=1), True),
        (True, Crowd(callers=1, refreshes=2), False),
        (True, Crowd(callers=4), False),
        (True, Crowd(in_front=1), False),
        (True, Crowd(aside=15), True),
        (True, Crowd(aside=16), False),
    ],
)
def test_who_may_go_of_four_where_eight_is_the_most(
    background: bool, crowd: Crowd, goes: bool
) -> None:
    assert may_go(Limit(8, 4.0), crowd, background=background) == goes


@pytest.mark.parametrize(("most", "goes"), [(8, True), (2, True), (1, False)])
def test_a_caller_goes_beside_the_only_refresh_unless_one_is_the_most(
    most: int, goes: bool
) -> None:
    assert may_go(Limit(most, 1.0), Crowd(refreshes=1), background=False) == goes

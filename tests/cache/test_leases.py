"""How long an answer may be given again unasked, and that nobody keeps it for longer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.cache.freshness import Judgement, Verdict
from app.cache.leases import MOST_HOLDERS, Lease, Leases
from app.cache.outcome import Outcome, Source
from tests.cache.conftest import make_entry

NOW = 1000.0


class Page:
    """A holder that counts how often it was told to let go."""

    def __init__(self) -> None:
        self.told = 0

    def let_go(self) -> None:
        self.told += 1


def outcome(key: str = "k") -> Outcome:
    return Outcome(make_entry(key), Source.MEMORY, Judgement(Verdict.FRESH, 0.0, 30.0))


def held(lease: Lease) -> Page:
    """Somebody new who holds it."""
    page = Page()
    assert lease.hold(page)
    return page


def test_a_lease_runs_until_its_time() -> None:
    leases, answer = Leases(), outcome()
    lease = leases.grant(answer, NOW, 0.5)
    assert (lease.outcome, lease.until) == (answer, NOW + 0.5)
    assert leases.get("k", NOW) is lease
    assert leases.get("k", NOW + 0.499) is lease
    assert leases.get("k", NOW + 0.5) is None
    assert leases.get("another", NOW) is None


def test_a_new_lease_ends_the_one_before() -> None:
    leases = Leases()
    old = leases.grant(outcome(), NOW, 1.0)
    page = held(old)
    new = leases.grant(outcome(), NOW, 1.0)
    assert (page.told, old.until < NOW) == (1, True)
    assert leases.get("k", NOW) is new
    assert len(leases) == 1


def test_who_holds_what_ends_is_told_and_others_are_not() -> None:
    leases = Leases()
    ended, other = (leases.grant(outcome(key), NOW, 1.0) for key in "ab")
    pages = [held(ended), held(ended), held(other)]
    leases.end("a")
    assert [page.told for page in pages] == [1, 1, 0]
    assert (leases.get("a", NOW), leases.get("b", NOW)) == (None, other)
    assert (ended.until < NOW, len(leases)) == (True, 1)


def test_all_can_be_ended_at_once() -> None:
    leases = Leases()
    pages = [held(leases.grant(outcome(key), NOW, 1.0)) for key in "abc"]
    leases.end_all()
    assert [page.told for page in pages] == [1, 1, 1]
    assert len(leases) == 0
    assert leases.get("a", NOW) is None


def test_what_has_ended_may_be_ended_again() -> None:
    leases = Leases()
    lease = leases.grant(outcome(), NOW, 1.0)
    page = held(lease)
    leases.end("k")
    leases.end("k")
    leases.end_all()
    lease.end()
    assert (page.told, len(leases)) == (1, 0)


def test_a_lease_for_no_time_is_over_at_once_and_not_counted() -> None:
    leases, page = Leases(), Page()
    lease = leases.grant(outcome(), NOW, 0.0)
    assert not lease.hold(page)
    assert (leases.get("k", NOW), len(leases)) == (None, 0)


def test_nobody_holds_what_is_over() -> None:
    leases, page = Leases(most=1), Page()
    lease = leases.grant(outcome(), NOW, 1.0)
    more = leases.grant(outcome("another"), NOW, 1.0)
    leases.end("k")
    assert (lease.hold(page), more.hold(page)) == (False, False)
    lease.end()
    assert page.told == 0


def test_very_many_do_not_hold_the_same() -> None:
    leases, pages = Leases(), [Page() for _ in range(2 * MOST_HOLDERS)]
    lease = leases.grant(outcome(), NOW, 1.0)
    holding = [page for page in pages if lease.hold(page)]
    assert holding == pages[:MOST_HOLDERS]
    assert leases.get("k", NOW) is lease
    leases.end("k")
    assert [page for page in pages if page.told] == holding


def test_one_more_than_there_may_be_is_over_at_once_and_not_counted() -> None:
    leases = Leases(most=2)
    running = [leases.grant(outcome(key), NOW, 1.0) for key in "ab"]
    more = leases.grant(outcome("c"), NOW, 1.0)
    assert (more.until < NOW, more.outcome.entry.key, len(leases)) == (True, "c", 2)
    assert leases.get("c", NOW) is None
    assert [leases.get(key, NOW) for key in "ab"] == running
    again = leases.grant(outcome("a"), NOW, 1.0)
    assert leases.get("a", NOW) is again, "it takes the place of the one before"
    leases.end("b")
    assert leases.grant(outcome("c"), NOW, 1.0) is leases.get("c", NOW)


@pytest.mark.parametrize("most", [3, 100])
def test_what_nobody_asks_for_again_is_dropped_when_another_is_granted(most: int) -> None:
    leases = Leases(most)
    pages = [held(leases.grant(outcome(key), NOW, 0.5)) for key in "abc"]
    lease = leases.grant(outcome("d"), NOW + 1.0, 0.5)
    assert [page.told for page in pages] == [1, 1, 1]
    assert (leases.get("d", NOW + 1.0), len(leases)) == (lease, 1)


KEYS = st.sampled_from("abcd")
STEPS = st.one_of(
    st.tuples(st.just("grant"), KEYS, st.sampled_from([0.25, 0.5, 1.0, 2.0])),
    st.tuples(st.just("end"), KEYS, st.just(0.0)),
    st.tuples(st.just("end all"), KEYS, st.just(0.0)),
    st.tuples(st.just("wait"), KEYS, st.sampled_from([0.25, 0.75, 1.5])),
)


@given(st.lists(STEPS, max_size=60))
def test_whoever_is_not_given_it_any_more_was_told_so(steps: list[tuple[str, str, float]]) -> None:
    leases, now = Leases(most=2), NOW
    granted: list[tuple[Lease, float, Page]] = []
    for what, key, seconds in steps:
        if what == "wait":
            now += seconds
        elif what == "end":
            leases.end(key)
        elif what == "end all":
            leases.end_all()
        else:
            lease = leases.grant(outcome(key), now, seconds)
            if lease.until > now:
                granted.append((lease, now + seconds, held(lease)))
            assert all(page.told for _, until, page in granted if until <= now - 1.0)
        assert len(leases) <= 2
        for lease, until, page in granted:
            is_given = leases.get(lease.outcome.entry.key, now) is lease
            assert is_given == (not page.told and now < until)
            assert page.told <= 1

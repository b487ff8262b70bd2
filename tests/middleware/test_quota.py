"""How much a client may ask for, at given times."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.middleware.quota import MOMENT, ClientQuotas, Limit, Standing, Tally, parse_limits

MINUTE = Limit("default", 10, 60)


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.mark.parametrize(
    ("text", "limits"),
    [
        ("1200/minute", [("default", 1200, 60)]),
        ("1200 per minute", [("default", 1200, 60)]),
        (" 5 / 2 Seconds ", [("default", 5, 2)]),
        ("5/2seconds", [("default", 5, 2)]),
        ("10/second; 1200/minute", [("default", 10, 1), ("per-60s", 1200, 60)]),
        (
            "10/hour,20/day|30/month",
            [("default", 10, 3600), ("per-86400s", 20, 86_400), ("per-2592000s", 30, 2_592_000)],
        ),
        ("7/year", [("default", 7, 31_104_000)]),
        ("off", []),
        (" OFF ", []),
    ],
)
def test_limits_are_written_like_this(text: str, limits: list[tuple[str, int, int]]) -> None:
    assert [(one.name, one.quota, one.window) for one in parse_limits(text)] == limits


@pytest.mark.parametrize(
    "text",
    [
        "",
        "fast",
        "0/minute",
        "5/0 minutes",
        "5/fortnight",
        "5/minute;",
        "-5/minute",
        "5 minute",
        "5/minute; 6/60 seconds",
        "9999999999999/minute",
    ],
)
def test_limits_that_make_no_sense_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"no rate limit|two limits"):
        parse_limits(text)


def test_a_quota_is_counted_down_then_refused(clock: Clock) -> None:
    quotas = ClientQuotas([MINUTE], clock)
    granted = [quotas.take("a") for _ in range(10)]
    assert [one.remaining for one in granted] == [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]
    assert granted[0] == Standing(MINUTE, 9, 60.0, 0.0)
    refused = quotas.take("a")
    assert (refused.remaining, refused.limit) == (0, MINUTE)
    assert refused.wait > 0


@given(st.floats(0, 1e9))
def test_a_window_is_never_longer_than_it_is(began: float) -> None:
    assert ClientQuotas([MINUTE], lambda: began).take("a").reset <= 60


def test_what_is_refused_is_not_counted(clock: Clock) -> None:
    quotas = ClientQuotas([MINUTE], clock)
    quotas.take("a", 8)
    assert quotas.take("a", 3).wait > 0
    assert quotas.take("a", 2).remaining == 0


def test_clients_do_not_pay_for_each_other(clock: Clock) -> None:
    quotas = ClientQuotas([MINUTE], clock)
    quotas.take("a", 10)
    assert quotas.take("b").remaining == 9


def test_the_window_slides(clock: Clock) -> None:
    quotas = ClientQuotas([MINUTE], clock)
    quotas.take("a", 10)
    clock.now += 60
    assert quotas.take("a").wait > 0, "no second quota at the turn of the window"
    clock.now += 30
    assert quotas.take("a", 5).remaining == 0
    assert quotas.take("a").wait > 0
    clock.now += 120
    assert quotas.take("a").remaining == 9


def test_a_quiet_client_begins_a_window_with_its_next_request(clock: Clock) -> None:
    quotas = ClientQuotas([MINUTE], clock)
    quotas.take("a")
    clock.now += 500
    assert quotas.take("a").reset == 60


def test_every_limit_must_allow_it(clock: Clock) -> None:
    second, minute = parse_limits("3/second; 5/minute")
    quotas = ClientQuotas([second, minute], clock)
    assert quotas.take("a", 3) == Standing(second, 0, 1.0, 0.0)
    assert quotas.take("a").limit == second
    clock.now += 2
    assert quotas.take("a", 2) == Standing(minute, 0, 58.0, 0.0)
    refused = quotas.take("a")
    assert (refused.limit, refused.remaining) == (minute, 0)
    clock.now += 2
    assert quotas.take("a").limit == minute, "it was not counted against the other limit"


def test_charging_may_overdraw_and_give_back(clock: Clock) -> None:
    quotas = ClientQuotas([MINUTE], clock)
    quotas.take("a", 9)
    assert quotas.charge("a", 5).remaining == 0
    assert quotas.take("a").wait > 0
    assert quotas.charge("a", -6).remaining == 2
    assert quotas.charge("a", -100).remaining == 10


def test_what_costs_more_than_a_quota_takes_an_unused_one(clock: Clock) -> None:
    quotas = ClientQuotas([MINUTE], clock)
    assert quotas.take("a", 11).wait == 0
    assert quotas.take("a").wait > 0


def test_only_so_many_clients_are_kept(clock: Clock) -> None:
    quotas = ClientQuotas([MINUTE], clock, max_clients=3)
    touched = quotas.note_touched()
    quotas.take("busy", 10)
    for number in range(100):
        quotas.take(f"passer-by {number}")
        assert quotas.take("busy").wait > 0
    assert len(quotas) == 3
    assert len(touched) == 3


amounts = st.lists(st.tuples(st.integers(1, 12), st.floats(0, 100)), max_size=40)


@given(amounts)
def test_the_wait_that_is_told_is_the_right_one(steps: list[tuple[int, float]]) -> None:
    tally, now = Tally(MINUTE, 1000.0), 1000.0
    for cost, pause in steps:
        now += pause
        tally.roll(now)
        wait = tally.wait(cost, now)
        if not wait:
            tally.add(cost)
            continue
        assert 0 < wait <= 2 * MINUTE.window
        patient, hasty = copy_of(tally), copy_of(tally)
        patient.roll(now + wait + 0.001)
        assert not patient.wait(cost, now + wait + 0.001)
        if wait > 0.001:
            hasty.roll(now + wait - 0.001)
            assert hasty.wait(cost, now + wait - 0.001)


@given(amounts)
def test_no_window_grants_more_than_the_quota(steps: list[tuple[int, float]]) -> None:
    tally, now = Tally(MINUTE, 1000.0), 1000.0
    granted: dict[float, int] = {}
    for cost, pause in steps:
        now += pause
        tally.roll(now)
        fits = min(cost, MINUTE.quota)
        if not tally.wait(fits, now):
            tally.add(fits)
            granted[tally.ends] = granted.get(tally.ends, 0) + fits
        assert 0 <= tally.standing(now).remaining <= MINUTE.quota
        assert 0 < tally.standing(now).reset <= MINUTE.window
    assert all(sum_ <= MINUTE.quota for sum_ in granted.values())


def test_the_larger_of_two_counts_is_believed() -> None:
    tally = Tally(MINUTE, 1000.0)
    tally.add(4)
    tally.unshared = 1
    tally.adopt(left=20.0, current=6, previous=0, now=1010.0)
    assert (tally.current, tally.ends) == (7, 1030.0)
    tally.adopt(left=60.0, current=1, previous=0, now=1010.0)
    assert (tally.current, tally.ends) == (7, 1030.0), "what was shared is lost; we remember"


def copy_of(tally: Tally) -> Tally:
    twin = Tally(tally.limit, 0.0)
    twin.ends, twin.current, twin.previous = tally.ends, tally.current, tally.previous
    return twin


def left(told: bytes | None) -> int:
    """The units that remain, as the field says."""
    assert told is not None
    return int(told.split(b";")[1].removeprefix(b"r="))


def hit(quotas: ClientQuotas, now: float) -> int | None:
    """One request, counted as ``RateLimit.take_hit`` does: the units that remain, if granted."""
    told = quotas.take_one("a", now)
    if told is not None:
        return left(told)
    standing = quotas.take("a")
    return None if standing.wait else standing.remaining


def counts(quotas: ClientQuotas) -> list[tuple[float, int, int, int]]:
    tallies = quotas._clients.get("a", ())
    return [(one.ends, one.current, one.previous, one.unshared) for one in tallies]


# Of windows, and of parts of a second, that floating-point numbers have without error.
ONE_LIMIT = st.sampled_from([Limit("default", 10, 64), Limit("default", 100, 1)])
PAUSES = st.one_of(
    st.just(0.0), st.integers(1, 20).map(lambda n: n / 64), st.integers(1, 150).map(float)
)
LONG_PAUSES = st.sampled_from([7 / 64, 0.25, 0.5, 1.0, 63.0])
ASKED = st.lists(
    st.tuples(
        st.sampled_from(["hit", "hit", "hit", "take", "charge"]), st.integers(-9, 60), PAUSES
    ),
    max_size=60,
)


@given(ONE_LIMIT, ASKED)
def test_units_that_are_lent_are_those_that_would_be_granted(
    limit: Limit, asked: list[tuple[str, int, float]]
) -> None:
    clock = Clock()
    lending, exact = (ClientQuotas([limit], clock) for _ in range(2))
    for what, cost, pause in asked:
        clock.now += pause
        if what == "charge":
            assert lending.charge("a", cost) == exact.charge("a", cost)
        elif what == "take":
            assert lending.take("a", max(1, cost)) == exact.take("a", max(1, cost))
        else:
            told, standing = hit(lending, clock.now), exact.take("a")
            assert (told is None) == (standing.wait > 0)
            fading = exact._clients["a"][0].previous * MOMENT / limit.window
            assert told is None or 0 <= standing.remaining - told <= ceil(fading)
        assert counts(lending) == counts(exact)


@given(ONE_LIMIT, st.lists(st.tuples(LONG_PAUSES, st.integers(1, 60)), max_size=20))
def test_of_units_lent_this_instant_as_many_are_told_to_remain(
    limit: Limit, asked: list[tuple[float, int]]
) -> None:
    clock = Clock()
    lending, exact = (ClientQuotas([limit], clock) for _ in range(2))
    for pause, hits in asked:
        clock.now += pause
        for _ in range(hits):
            told, standing = hit(lending, clock.now), exact.take("a")
            assert told == (None if standing.wait else standing.remaining)


def test_of_who_is_not_known_or_has_several_limits_nothing_is_counted(clock: Clock) -> None:
    one, two = (
        ClientQuotas([MINUTE], clock),
        ClientQuotas(parse_limits("3/second; 5/minute"), clock),
    )
    assert one.take_one("a", clock.now) is None
    assert len(one) == 0
    two.take("a")
    touched = two.note_touched()
    assert {two.take_one("a", clock.now) for _ in range(10)} == {None}
    assert not touched
    assert two.take("a").remaining == 1


def test_the_last_unit_is_lent_and_no_more(clock: Clock) -> None:
    quotas = ClientQuotas([MINUTE], clock)
    quotas.take("a", 8)
    assert quotas.take_one("a", clock.now) == b'"default";r=1;t=60'
    assert quotas.take_one("a", clock.now) == b'"default";r=0;t=60'
    before = counts(quotas)
    assert quotas.take_one("a", clock.now) is None
    assert counts(quotas) == before
    assert quotas.take("a").wait > 0


@pytest.mark.parametrize(
    ("change", "remaining"),
    [
        (lambda tally: tally.add(5), 2),
        (lambda tally: tally.add(-2), 9),
        (lambda tally: tally.adopt(60.0, 6, 0, 1000.0), 1),
        (lambda tally: tally.tell(), 7),
    ],
    ids=["spent", "given back", "spent elsewhere", "told"],
)
def test_what_changes_the_count_has_what_is_lent_calculated_anew(
    clock: Clock, change: Callable[[Tally], object], remaining: int
) -> None:
    quotas = ClientQuotas([MINUTE], clock)
    touched = quotas.note_touched()
    quotas.take("a")
    assert left(quotas.take_one("a", clock.now)) == 8
    [tally] = touched.pop("a")
    change(tally)
    assert left(quotas.take_one("a", clock.now)) == remaining


def test_what_faded_is_lent_after_a_moment(clock: Clock) -> None:
    quotas = ClientQuotas([Limit("default", 128, 1)], clock)
    quotas.take("a", 128)
    told = []
    for now in (1001.5, 1001.5625, 1001.625):
        clock.now = now
        told.append(left(quotas.take_one("a", now)))
    assert told == [63, 62, 77]


def test_nothing_is_lent_beyond_the_end_of_a_window(clock: Clock) -> None:
    quotas = ClientQuotas([MINUTE], clock)
    quotas.take("a", 5)
    clock.now += 60 - MOMENT / 2
    assert left(quotas.take_one("a", clock.now)) == 4
    clock.now = 1060.0
    assert left(quotas.take_one("a", clock.now)) == 3
    assert counts(quotas) == [(1120.0, 1, 6, 1)]


@given(st.lists(st.sampled_from(["hit", "hit", "hit", "tell", "wait"]), max_size=60))
def test_every_unit_that_is_lent_is_told_once(steps: list[str]) -> None:
    clock = Clock()
    quotas = ClientQuotas([Limit("default", 1000, 3600)], clock)
    touched = quotas.note_touched()
    granted = told = 0
    for step in [*steps, "tell"]:
        if step == "hit":
            granted += hit(quotas, clock.now) is not None
            assert list(touched) == ["a"]
        elif step == "tell":
            told += sum(tally.tell() for tallies in touched.values() for tally in tallies)
            touched.clear()
        else:
            clock.now += MOMENT
    assert granted == told == steps.count("hit")

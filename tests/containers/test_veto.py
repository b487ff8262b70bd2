"""What vetoes mean: those that hold, those that do not, and those that cannot be asked."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.containers.veto import (
    CALM_SECONDS,
    UNKNOWN_CHECKS,
    Answer,
    History,
    Kind,
    Sample,
    Vetoes,
    VetoUrl,
    answer_from,
    answers_from,
    parse_veto_cpu,
    parse_veto_net,
    parse_veto_url,
    unasked,
    weigh,
)

QUIET = Answer(Kind.CPU, False, "is at 1 %")
BUSY = Answer(Kind.CPU, True, "is at 90 %")
SILENT = Answer(Kind.URL, None, "no answer within 2 s")


def test_nothing_holds_nothing_objects() -> None:
    weighed = weigh(History(), [QUIET], 100.0, idle_timeout=600.0)
    assert (weighed.objection, weighed.given_up) == (None, ())


def test_one_that_holds_is_certain_and_goes_first() -> None:
    objection = weigh(History(), [SILENT, QUIET, BUSY], 100.0, idle_timeout=600.0).objection
    assert objection is not None
    assert (objection.reason, objection.left, objection.certain) == (
        "veto-cpu is at 90 %",
        None,
        True,
    )


@pytest.mark.parametrize(("idle_timeout", "calm"), [(600.0, CALM_SECONDS), (5.0, 5.0)])
def test_after_it_held_there_is_a_while_of_calm(idle_timeout: float, calm: float) -> None:
    held = weigh(History(), [BUSY], 100.0, idle_timeout=idle_timeout).history
    resting = weigh(held, [QUIET], 101.0, idle_timeout=idle_timeout).objection
    assert resting is not None
    assert (resting.left, resting.certain) == (calm - 1, False)
    assert resting.reason == "veto-cpu is at 90 % 1 s ago"
    assert weigh(held, [QUIET], 100.0 + calm, idle_timeout=idle_timeout).objection is None


def test_one_that_cannot_be_asked_counts_for_one_more_idle_time() -> None:
    history, now, counted = History(), 100.0, []
    while now < 200.0:
        weighed = weigh(history, [SILENT, QUIET], now, idle_timeout=60.0)
        history = weighed.history
        if weighed.objection is None:
            break
        assert weighed.objection.reason == "veto-url cannot be asked: no answer within 2 s"
        assert not weighed.objection.certain
        counted.append(weighed.objection.left)
        now += 10.0
    assert counted == [60.0, 50.0, 40.0, 30.0, 20.0, 10.0]
    assert weighed.given_up == (SILENT,)


def test_a_short_idle_time_gives_it_a_few_checks_all_the_same() -> None:
    history, checks = History(), 0
    while (weighed := weigh(history, [SILENT], 10.0 * checks, idle_timeout=1.0)).objection:
        history, checks = weighed.history, checks + 1
    assert checks == UNKNOWN_CHECKS


def test_an_answer_between_begins_the_count_anew() -> None:
    once = weigh(History(), [SILENT], 0.0, idle_timeout=60.0).history
    answered = weigh(once, [replace(SILENT, holds=False)], 50.0, idle_timeout=60.0)
    assert answered.objection is None
    again = weigh(answered.history, [SILENT], 100.0, idle_timeout=60.0).objection
    assert again is not None
    assert again.left == 60.0


@given(
    st.lists(
        st.lists(
            st.builds(
                Answer,
                kind=st.sampled_from(Kind),
                holds=st.sampled_from([True, False, None]),
                detail=st.just("x"),
            ),
            max_size=3,
            unique_by=lambda answer: answer.kind,
        ),
        max_size=30,
    ),
    st.floats(0.1, 100.0),
    st.floats(0.5, 1000.0),
)
def test_what_holds_always_counts_and_what_is_silent_never_for_ever(
    rounds: list[list[Answer]], apart: float, idle_timeout: float
) -> None:
    history, silent_since = History(), 0.0
    for number, answers in enumerate(rounds):
        now = number * apart
        weighed = weigh(history, answers, now, idle_timeout=idle_timeout)
        history = weighed.history
        if any(answer.holds for answer in answers):
            assert weighed.objection is not None
            assert weighed.objection.certain
        elif weighed.objection is not None:
            assert weighed.objection.left is not None
            assert weighed.objection.left <= max(idle_timeout, CALM_SECONDS) + 1e-6
        if not answers or any(answer.holds is not None for answer in answers):
            silent_since = now + apart
        bound = max(idle_timeout, CALM_SECONDS) + UNKNOWN_CHECKS * apart
        if now - silent_since > bound:
            assert weighed.objection is None


BEFORE = Sample(cpu=10.0, traffic=1000, at=50.0)


@pytest.mark.parametrize(
    ("after", "cpu", "net"),
    [
        (Sample(cpu=10.5, traffic=1000, at=60.0), False, False),
        (Sample(cpu=11.1, traffic=200_000, at=60.0), True, True),
        (Sample(cpu=30.0, traffic=101_000, at=60.0), True, False),
        (Sample(cpu=10.0, traffic=None, at=60.0), False, None),
    ],
)
def test_two_samples_are_a_share_of_one_core_and_a_rate(
    after: Sample, cpu: bool, net: bool | None
) -> None:
    answers = answers_from(Vetoes(cpu=10.0, net=10_000.0), BEFORE, after)
    assert answers is not None
    assert [(answer.kind, answer.holds) for answer in answers] == [
        (Kind.CPU, cpu),
        (Kind.NET, net),
    ]


def test_more_than_one_core_is_more_than_a_hundred_percent() -> None:
    answers = answers_from(Vetoes(cpu=150.0), BEFORE, Sample(30.0, None, 60.0))
    assert answers is not None
    assert [answer.holds for answer in answers] == [True]
    assert "200 % of a core" in answers[0].detail


@pytest.mark.parametrize("after", [Sample(10.1, 1000, 50.1), Sample(0.1, 0, 60.0)])
def test_samples_that_are_too_close_or_of_two_runs_say_nothing(after: Sample) -> None:
    assert answers_from(Vetoes(cpu=10.0), BEFORE, after) is None


@pytest.mark.parametrize(
    ("status", "holds"),
    [(409, True), (200, False), (204, False), (302, False), (404, False), (500, None), (503, None)],
)
def test_only_409_holds_and_a_failing_server_said_nothing(status: int, holds: bool | None) -> None:
    assert answer_from(status).holds is holds


def test_without_samples_each_veto_that_needs_them_is_unknown() -> None:
    assert unasked(Vetoes(net=1.0, url=VetoUrl(None, 0, "/")), "refused") == [
        Answer(Kind.NET, None, "refused")
    ]


def test_no_vetoes_are_none() -> None:
    assert not Vetoes()
    assert not Vetoes(url=VetoUrl(None, 0, "/")).sampled
    assert Vetoes(net=1.0).sampled


def test_shares_and_rates_are_read() -> None:
    assert [parse_veto_cpu(text) for text in ("10%", "0.5 %", "250%")] == [10.0, 0.5, 250.0]
    assert parse_veto_net("10KB/s") == 10_000.0
    assert parse_veto_net("1 MB / s") == 1_000_000.0


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("/busy", VetoUrl(None, 0, "/busy")),
        (":8080/busy?x=1", VetoUrl(None, 8080, "/busy?x=1")),
        ("http://app:3000/busy", VetoUrl("app", 3000, "/busy")),
        ("http://app", VetoUrl("app", 80, "/")),
        ("https://app/a?b=c", VetoUrl("app", 443, "/a?b=c", tls=True)),
        ("http://[::1]:81/", VetoUrl("::1", 81, "/")),
    ],
)
def test_urls_are_read(text: str, url: VetoUrl) -> None:
    assert parse_veto_url(text) == url

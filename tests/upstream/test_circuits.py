from __future__ import annotations

import random
from typing import Any

import pytest
from structlog.testing import capture_logs

from app.errors import UpstreamError, UpstreamTimeout, UpstreamUnreachable
from app.upstream.breaker import BreakerPolicy
from app.upstream.circuits import WHOLE, Circuits
from app.upstream.lie import Lie
from tests.upstream.conftest import ManualTime

GONE = UpstreamUnreachable("Connection refused")
SLOW = UpstreamTimeout("no whole answer within 10 s")


class Bench:
    """Circuits on manual time; each call takes a tenth of a second."""

    def __init__(self) -> None:
        self.time = ManualTime()
        self.circuits = Circuits(
            BreakerPolicy(), clock=self.time.clock, wall=self.time.wall, rng=random.Random(7)
        )

    def fails(self, label: str, error: UpstreamError = SLOW, times: int = 1) -> bool:
        opened = [self._failed(label, error) for _ in range(times)]
        return any(opened)

    def answers(self, label: str) -> bool:
        began = self.time.now
        self.time.now += 0.1
        return self.circuits.answered(label, began)

    def _failed(self, label: str, error: UpstreamError) -> bool:
        began = self.time.now
        self.time.now += 0.1
        return self.circuits.failed(label, error, began)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_when_several_operations_fail_nothing_is_asked_any_more(bench: Bench) -> None:
    bench.answers("items")

    assert not bench.fails("players")
    assert bench.fails("clans")

    assert bench.circuits.state == "open"
    assert {bench.circuits.look(label) for label in ("players", "items")} == {"refuse"}
    assert 1.0 <= bench.circuits.next_try_in <= 1.5
    assert bench.circuits.failing_operations == ()


def test_when_one_fails_and_others_answer_it_alone_is_left_alone(bench: Bench) -> None:
    bench.answers("items")

    assert bench.fails("players", times=2)

    assert (bench.circuits.state, bench.circuits.next_try_in) == ("closed", 0.0)
    assert bench.circuits.failing_operations == ("players",)
    assert (bench.circuits.look("players"), bench.circuits.look("items")) == ("refuse", "go")


def test_when_one_fails_and_no_other_was_answered_lately_it_speaks_for_all(bench: Bench) -> None:
    bench.answers("items")
    bench.time.now += 31

    bench.fails("players", times=2)

    assert bench.circuits.state == "open"
    assert (bench.circuits.look("players"), bench.circuits.look("items")) == ("refuse", "probe")


def test_one_probe_and_then_all_is_as_before(bench: Bench) -> None:
    bench.fails("players")
    bench.fails("clans")
    bench.time.now += 2
    assert bench.circuits.look("items") == "probe"

    scope = bench.circuits.begin_probe("items")

    assert (scope, bench.circuits.state) == (WHOLE, "half-open")
    assert bench.circuits.look("items") == "trying"
    assert bench.answers("items")
    bench.circuits.end_probe(scope)
    assert (bench.circuits.state, bench.circuits.look("players")) == ("closed", "go")
    assert not bench.answers("items")


def test_the_probe_of_one_operation_holds_up_no_other(bench: Bench) -> None:
    bench.answers("items")
    bench.fails("players", times=2)
    bench.time.now += 2

    scope = bench.circuits.begin_probe("players")

    assert (scope, bench.circuits.state) == ("players", "closed")
    assert (bench.circuits.look("players"), bench.circuits.look("items")) == ("trying", "go")
    assert not bench.answers("players")
    assert bench.circuits.look("players") == "go"
    assert bench.circuits.failing_operations == ()


def test_a_probe_that_ends_without_an_outcome_leaves_no_door_half_open(bench: Bench) -> None:
    bench.fails("players", times=2)
    bench.time.now += 2

    bench.circuits.end_probe(bench.circuits.begin_probe("players"))

    assert bench.circuits.state == "open"
    assert bench.circuits.next_try_in == 1.0


def test_what_hung_before_the_recovery_does_not_shut_an_operation_again(bench: Bench) -> None:
    hanging = bench.time.now
    bench.fails("players", times=2)
    bench.time.now += 2
    bench.circuits.begin_probe("items")
    bench.answers("items")

    assert not any(bench.circuits.failed("players", SLOW, hanging) for _ in range(9))
    assert bench.circuits.look("players") == "go"


def test_implausible_answers_open_nothing(bench: Bench) -> None:
    assert not bench.fails("players", Lie("html", "a page, not JSON"), times=50)


def test_a_refusal_says_since_when_it_fails_and_when_it_is_tried(bench: Bench) -> None:
    bench.fails("players")
    bench.time.now += 10
    bench.fails("clans")

    refusal = bench.circuits.refusal("items")

    assert refusal.detail == (
        "it has been failing since 2023-11-14T22:30:00Z and is tried again in 2 s"
    )
    assert refusal.retry_after == bench.circuits.next_try_in
    assert refusal.status == 503
    assert bench.circuits.refusal("items", at_least=60.0).retry_after == 60.0


def test_the_times_in_a_refusal_do_not_jump_with_the_wall_clock() -> None:
    time, wall = ManualTime(), [1_700_001_000.0]
    circuits = Circuits(
        BreakerPolicy(), clock=time.clock, wall=lambda: wall[0], rng=random.Random(7)
    )
    circuits.failed("players", SLOW, time.now)
    wall[0] += 3600
    time.now += 60
    circuits.failed("clans", SLOW, time.now)

    assert "since 2023-11-14T23:29:00Z" in circuits.refusal("items").detail


def test_a_refusal_names_the_operation_when_only_that_one_fails(bench: Bench) -> None:
    bench.answers("items")
    bench.fails("players", times=2)
    assert bench.circuits.refusal("players").detail.startswith("players has been failing since")

    bench.time.now += 2
    due = bench.circuits.refusal("players")
    bench.circuits.begin_probe("players")
    tried = bench.circuits.refusal("players")

    assert due.detail.endswith("and is tried with the next call")
    assert tried.detail.endswith("and is being tried just now")
    assert (due.retry_after, tried.retry_after) == (1.0, 1.0)


def test_while_nothing_is_asked_there_is_nothing_to_say_of_one_operation(bench: Bench) -> None:
    hanging = bench.time.now
    bench.fails("players")
    bench.fails("clans")

    with capture_logs() as lines:
        assert not any(bench.circuits.failed("players", SLOW, hanging) for _ in range(9))
        for _ in range(10):
            bench.time.now += 5
            bench.circuits.begin_probe("items")
            bench.fails("items")

    assert {line["operation"] for line in lines} == {"all"}
    assert len(lines) == 20


def test_each_change_is_one_line(bench: Bench) -> None:
    with capture_logs() as lines:
        bench.answers("items")
        bench.fails("players", GONE, times=3)
        bench.fails("clans", GONE, times=4)
        bench.time.now += 2
        bench.circuits.begin_probe("items")
        bench.fails("items", GONE)
        bench.time.now += 5
        bench.circuits.begin_probe("items")
        bench.answers("items")
        bench.answers("items")

    def line(**fields: Any) -> dict[str, Any]:
        return {"event": "upstream breaker", "operation": "all", "log_level": "info"} | fields

    times = [line.pop("next_try_in") for line in lines if line["state"] == "open"]
    assert 1.0 <= times[0] <= 1.5
    assert 2.0 <= times[1] <= 3.0
    assert lines == [
        line(state="open", failing_for=0.5, reason="unreachable", log_level="warning"),
        line(state="half-open", failing_for=2.6),
        line(state="open", failing_for=2.7, reason="unreachable"),
        line(state="half-open", failing_for=7.7),
        line(state="closed", failing_for=7.8),
    ]


def test_a_call_that_was_overtaken_by_an_answer_tells_nothing_when_it_fails(bench: Bench) -> None:
    hung_since = bench.time.now
    bench.time.now += 1.0
    bench.answers("players")
    bench.time.now += 9.0

    assert not any(bench.circuits.failed("players", SLOW, hung_since) for _ in range(9))
    assert not bench.circuits.is_news("players", hung_since)
    # Of another operation it tells something, but nothing of the whole.
    assert bench.circuits.is_news("clans", hung_since)
    assert [bench.circuits.failed("clans", SLOW, hung_since) for _ in range(2)] == [False, True]
    assert (bench.circuits.state, bench.circuits.failing_operations) == ("closed", ("clans",))


def test_an_answer_to_what_was_asked_before_takes_nothing_back(bench: Bench) -> None:
    asked_first = bench.time.now
    bench.time.now += 1.0
    bench.answers("players")
    bench.circuits.answered("players", asked_first)

    assert not bench.circuits.is_news("players", asked_first + 0.5)

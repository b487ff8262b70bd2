from __future__ import annotations

from structlog.testing import capture_logs

from app.errors import UpstreamImplausible, UpstreamTimeout, UpstreamUnreachable
from app.upstream.health import Health, HealthWatch, UpstreamStatus
from tests.upstream.conftest import ManualTime

BROKEN = UpstreamUnreachable("refused")
ODD = UpstreamImplausible("a page, not JSON")


def test_before_any_call_nothing_is_known_to_be_wrong() -> None:
    watch = HealthWatch(ManualTime().clock, ManualTime().wall)

    assert watch.status(0.0) == UpstreamStatus(True, None, None, 0.0)


def test_failing_since_is_the_first_failure_and_last_error_the_last() -> None:
    health = Health().after_failure(BROKEN, now=1.0, wall=500.0)
    health = health.after_failure(UpstreamTimeout("slow"), now=9.0, wall=508.0)

    assert (health.ok, health.failing_since, health.last_error) == (False, 500.0, "timeout: slow")


def test_one_answer_ends_it_and_the_last_error_stays_to_be_read() -> None:
    health = Health().after_failure(BROKEN, now=1.0, wall=500.0).after_answer(now=2.0)

    assert (health.ok, health.failing_since) == (True, None)
    assert health.last_error == "unreachable: refused"


def test_one_odd_operation_among_good_answers_is_not_an_upstream_that_fails() -> None:
    health = Health().after_answer(now=100.0).after_failure(ODD, now=129.0, wall=500.0)

    assert health.ok
    assert health.last_error == "implausible: a page, not JSON"


def test_nothing_but_odd_answers_for_a_while_is() -> None:
    assert not Health().after_answer(now=100.0).after_failure(ODD, now=130.0, wall=500.0).ok
    assert not Health().after_failure(ODD, now=0.0, wall=500.0).ok


def test_an_odd_answer_does_not_end_a_failure() -> None:
    health = Health().after_answer(now=0.0).after_failure(BROKEN, now=1.0, wall=500.0)

    assert health.after_failure(ODD, now=2.0, wall=501.0).failing_since == 500.0


def test_only_the_changes_are_logged() -> None:
    time = ManualTime()
    watch = HealthWatch(time.clock, time.wall)

    with capture_logs() as lines:
        watch.answered()
        watch.failed("players", BROKEN)
        time.now += 4.04
        watch.failed("clans", UpstreamTimeout("slow"))
        status = watch.status(2.5)
        watch.answered()
        watch.answered()
        watch.failed("items", ODD)

    assert status == UpstreamStatus(False, 1_700_001_000.0, "timeout: slow", 2.5)
    assert lines == [
        {
            "event": "upstream failing",
            "log_level": "warning",
            "operation": "players",
            "reason": "unreachable",
            "detail": "refused",
        },
        {"event": "upstream recovered", "log_level": "info", "failed_for": 4.0},
    ]

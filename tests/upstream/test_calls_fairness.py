"""What a timeout says of the upstream, and what only of our own line; in virtual time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

import pytest

from app.errors import UpstreamError, UpstreamTimeout, UpstreamUnreachable
from app.upstream.calls import Calls
from app.upstream.exchange import UpstreamAnswer, UpstreamRequest
from tests.upstream.conftest import players
from tests.upstream.virtual import MOST, calls_over, in_virtual_time

TIMEOUT = 10.0
ANSWER = UpstreamAnswer(200, "application/json", b"{}", 0.0)
Act = Callable[[], Awaitable[UpstreamAnswer]]


def after(seconds: float, outcome: UpstreamAnswer | UpstreamError = ANSWER) -> Act:
    async def act() -> UpstreamAnswer:
        await asyncio.sleep(seconds)
        if isinstance(outcome, UpstreamError):
            raise outcome
        return outcome

    return act


HANG = after(1e9)


def upstream_that(*acts: Act) -> Calls:
    """Calls to one that does these things in turn, the last for ever."""
    script = list(acts)

    async def exchange(request: UpstreamRequest) -> UpstreamAnswer:
        return await (script.pop(0) if len(script) > 1 else script[0])()

    return calls_over(exchange, timeout=TIMEOUT, rng=random.Random(7))


async def asked(calls: Calls, count: int, label: str = "players") -> list[object]:
    return await asyncio.gather(
        *(calls.make(players(label=label), background=False) for _ in range(count)),
        return_exceptions=True,
    )


def test_whoever_waited_until_too_little_was_left_blames_nobody() -> None:
    async def play() -> None:
        # Those who come when the slots have been held for four seconds have six left.
        calls = upstream_that(*[after(4.0)] * MOST, HANG)
        ended = await asked(calls, 2 * MOST)

        assert [type(one) for one in ended] == [UpstreamAnswer] * MOST + [UpstreamTimeout] * MOST
        assert calls.status.ok
        assert calls.status.last_error is None
        assert (calls.status.breaker, calls.status.most_at_once) == ("closed", MOST)
        assert calls._circuits.failing_operations == ()

    in_virtual_time(play())


def test_whoever_waited_a_little_tells_what_it_met() -> None:
    async def play() -> None:
        calls = upstream_that(*[after(2.0)] * MOST, HANG)
        await asked(calls, 2 * MOST)

        assert not calls.status.ok
        assert (calls.status.breaker, calls.status.most_at_once) == ("open", 5)

    in_virtual_time(play())


def test_an_attempt_that_began_late_because_it_is_the_second_blames_nobody() -> None:
    async def play() -> None:
        calls = upstream_that(after(4.0, UpstreamUnreachable("cut")), HANG)
        (error,) = await asked(calls, 1)

        assert isinstance(error, UpstreamTimeout)
        # What is known is that a connection broke.
        assert calls.status.last_error == "unreachable: cut"
        assert calls.status.most_at_once == MOST
        assert calls._circuits._whole.score == 1

    in_virtual_time(play())


@pytest.mark.parametrize(("waits", "counts"), [(0.0, True), (5.0, True), (8.0, False)])
def test_a_connection_that_does_not_stand_counts_if_it_had_its_own_time(
    waits: float, counts: bool
) -> None:
    async def play() -> None:
        no_connection = after(3.0, UpstreamTimeout("no connection in time"))
        calls = upstream_that(*[after(waits)] * MOST * (waits > 0), no_connection)
        await asked(calls, MOST * (waits > 0) + 2)

        assert calls.status.ok != counts
        assert (calls.status.most_at_once < MOST) == counts

    in_virtual_time(play())


def test_what_hung_before_others_were_answered_tells_nothing_when_its_time_is_over() -> None:
    async def play() -> None:
        calls = upstream_that(HANG, HANG, after(0.1))
        hanging = asyncio.create_task(asked(calls, 2))
        await asyncio.sleep(5.0)
        assert await asked(calls, 1) == [ANSWER]

        assert [type(one) for one in await hanging] == [UpstreamTimeout] * 2
        assert calls.status.ok
        assert (calls.status.breaker, calls.status.failing_operations) == ("closed", ())

    in_virtual_time(play())


def test_an_operation_that_hangs_holds_no_slots_once_that_is_known() -> None:
    async def play() -> None:
        hangs = "activities"

        async def exchange(request: UpstreamRequest) -> UpstreamAnswer:
            return await (HANG if request.label == hangs else after(0.1))()

        calls = calls_over(exchange, timeout=TIMEOUT, rng=random.Random(7))
        assert await asked(calls, 1) == [ANSWER]
        first = asyncio.create_task(asked(calls, 2, hangs))
        await asyncio.sleep(5.0)
        others = asyncio.create_task(asked(calls, MOST - 2, hangs))
        assert [type(one) for one in await first] == [UpstreamTimeout] * 2
        assert calls.status.failing_operations == (hangs,)
        assert calls._slots.running == MOST - 2

        # The limit is five, and six hang.
        began = asyncio.get_running_loop().time()
        assert await asked(calls, 5) == [ANSWER] * 5
        assert asyncio.get_running_loop().time() - began == pytest.approx(0.1)
        await others

    in_virtual_time(play())

"""An upstream that hung and is back, in virtual time: who is served, and how much it is asked."""

from __future__ import annotations

import asyncio
import itertools
import math
import random
from contextlib import suppress
from dataclasses import dataclass, field

import pytest

from app.errors import UpstreamError, UpstreamRefused
from app.upstream.calls import Calls
from app.upstream.exchange import UpstreamAnswer, UpstreamRequest
from tests.upstream.conftest import players
from tests.upstream.virtual import MOST, calls_over, in_virtual_time

TIMEOUT = 3.0
KNOWN = [f"table-{number % 12}" for number in range(22)]
"""What is refreshed, by operation."""
HANGS, SLOW, QUICK = math.inf, (0.6, 1.8), (0.004, 0.006)


@dataclass
class Asked:
    """One new question: when it was asked, how long its client waited, and what came of it."""

    at: float
    waited: float
    error: UpstreamError | None


@dataclass
class Play:
    """A gateway before an upstream whose speed goes by a plan of ``(from, seconds)``."""

    plan: list[tuple[float, float | tuple[float, float]]]
    seed: int
    asked: list[Asked] = field(default_factory=list)
    began: list[float] = field(default_factory=list)
    """When each call reached the upstream."""
    under_way: int = 0
    most_under_way: int = 0

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)

    @property
    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def calls(self) -> Calls:
        return calls_over(self._exchange, timeout=TIMEOUT, rng=self.rng)

    async def ask(self, calls: Calls) -> None:
        """One question of which nobody knows the answer."""
        at, error = self.now, None
        try:
            await calls.make(players(), background=False)
        except UpstreamError as failure:
            error = failure
        self.asked.append(Asked(at, self.now - at, error))

    async def ask_steadily(self, calls: Calls, rate: float, until: float) -> None:
        async with asyncio.TaskGroup() as group:
            while self.now < until:
                group.create_task(self.ask(calls))
                await asyncio.sleep(1 / rate)

    async def refresh(self, calls: Calls, label: str, until: float) -> None:
        """What one known answer asks for, which goes stale again and again."""
        while self.now < until:
            with suppress(UpstreamError):
                await calls.make(players(label=label), background=True)
            await asyncio.sleep(0.4)

    async def _exchange(self, request: UpstreamRequest) -> UpstreamAnswer:
        self.began.append(self.now)
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            speed = [speed for since, speed in self.plan if since <= self.now][-1]
            if isinstance(speed, tuple):
                await asyncio.sleep(self.rng.uniform(*speed))
            else:
                await asyncio.sleep(1e9 if speed == HANGS else speed)
        finally:
            self.under_way -= 1
        return UpstreamAnswer(200, "application/json", b"{}", 0.0)


def played(play: Play, until: float, rate: float = 3.0) -> Play:
    """``play`` with new questions at this rate, and refreshes."""

    async def run() -> None:
        calls = play.calls()
        async with asyncio.TaskGroup() as group:
            for label in KNOWN:
                group.create_task(play.refresh(calls, label, until))
            group.create_task(play.ask_steadily(calls, rate, until))
        assert calls._slots.running == calls._slots.waiting == 0
        assert play.most_under_way <= 2 * MOST + 1  # the probe
        await calls.aclose()

    in_virtual_time(run())
    return play


def unanswered(play: Play, since: float) -> list[str]:
    return [f"at {one.at:.1f}: {one.error}" for one in play.asked if one.at >= since and one.error]


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("hung_for", [1.0, 2.5, 3.2, 4.0, 6.0])
def test_one_that_hung_was_back_and_is_slow_now_answers_every_new_question(
    hung_for: float, seed: int
) -> None:
    back = 5.0 + hung_for
    # If the breaker opened, the probe is at most five seconds away.
    slow = back + 5.0 if hung_for > 2.0 else back + 1.0
    play = Play([(0.0, QUICK), (5.0, HANGS), (back, QUICK), (slow, SLOW)], seed)

    played(play, until=slow + 20.0)

    assert unanswered(play, slow) == []


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("hung_for", [3.2, 6.0, 12.0])
def test_one_that_comes_back_slow_answers_every_new_question_once_the_breaker_is_closed(
    hung_for: float, seed: int
) -> None:
    back = 5.0 + hung_for
    play = Play([(0.0, QUICK), (5.0, HANGS), (back, SLOW)], seed)

    played(play, until=back + 40.0)

    # A probe that hangs from before, five seconds, the next question is the probe that is
    # answered; then comes a round of two calls at once.
    probed = back + TIMEOUT + 5.0 + 0.4 + SLOW[1]
    assert unanswered(play, probed + SLOW[1]) == []
    assert not any(isinstance(one.error, UpstreamRefused) for one in play.asked if one.at > probed)


@pytest.mark.parametrize("seed", range(5))
def test_one_that_is_slow_from_the_start_answers_every_new_question(seed: int) -> None:
    assert unanswered(played(Play([(0.0, SLOW)], seed), until=60.0), 0.0) == []


@pytest.mark.parametrize("seed", range(4))
def test_of_more_than_a_slow_one_can_answer_as_much_is_answered_and_no_breaker_opens(
    seed: int,
) -> None:
    play = played(Play([(0.0, SLOW)], seed), until=40.0, rate=12.0)

    # Eight at once in 1.2 s are not quite seven a second: the others wait their whole time.
    reasons = {one.error.reason for one in play.asked if one.error}
    assert reasons == {"timeout"}
    assert sum(one.error is None for one in play.asked) > 40.0 * 6


@pytest.mark.parametrize("rate", [3.0, 12.0, 40.0])
def test_one_that_hangs_is_noticed_also_by_those_who_have_waited_in_a_line(rate: float) -> None:
    play = played(Play([(0.0, SLOW), (20.0, HANGS)], seed=7), until=40.0, rate=rate)

    # Once the breaker is open nobody waits longer than for a probe.
    assert max(one.waited for one in play.asked if one.at >= 20.0 + 2 * TIMEOUT) <= 0.6


def test_a_recovery_is_paced_by_rounds_of_answers() -> None:
    play = Play([(0.0, HANGS), (7.5, 1.0)], seed=7)

    async def run() -> list[int]:
        calls = play.calls()
        await asyncio.gather(*(play.ask(calls) for _ in range(MOST)))
        assert calls.status.next_try_in > 0
        play.began.clear()
        await asyncio.sleep(7.5 - play.now)
        await play.ask(calls)
        while calls.status.breaker != "closed":
            await asyncio.sleep(0.01)
        closed = play.now
        crowd = [asyncio.create_task(play.ask(calls)) for _ in range(60)]
        crowd += [asyncio.create_task(play.refresh(calls, label, play.now)) for label in KNOWN]
        await asyncio.gather(*crowd)
        await calls.aclose()
        rounds = [int(began - closed + 1e-6) for began in play.began if began >= closed]
        return [len(list(same)) for _, same in itertools.groupby(rounds)]

    assert in_virtual_time(run()) == [2, 4, 8]

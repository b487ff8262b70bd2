"""What the cache lends: an answer that may be given again, until anything about it changes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.cache.freshness import EARLY, Verdict
from app.cache.leases import Lease
from app.cache.purges import Purge, Scope
from tests.cache.conftest import make_entry
from tests.cache.doubles import Answer, key
from tests.cache.kitchen import FRESH, PLAYERS, Kitchen
from tests.waiting import until


def runs(lease: Lease, kitchen: Kitchen) -> bool:
    return lease.until > kitchen.clock.now


def lent(kitchen: Kitchen) -> Lease:
    """The lease that a request for the players is given."""
    lease = kitchen.cache.lease(PLAYERS)
    assert lease is not None
    return lease


async def test_what_nobody_asked_for_is_not_lent(kitchen: Kitchen) -> None:
    assert kitchen.cache.lease(PLAYERS) is None


async def test_while_a_lease_runs_it_is_given_to_everybody(kitchen: Kitchen) -> None:
    first = await kitchen.cache.answer(PLAYERS)
    lease = lent(kitchen)
    assert runs(lease, kitchen)
    assert lease.outcome.entry == first.entry
    assert lent(kitchen) is lease
    assert kitchen.cache.peek(PLAYERS) is lease.outcome
    kitchen.clock.now = lease.until
    again = lent(kitchen)
    assert again is not lease
    assert again.outcome.judgement.age > lease.outcome.judgement.age


@pytest.mark.parametrize("hard", [False, True], ids=["soft", "hard"])
@pytest.mark.parametrize(
    ("scope", "target"),
    [
        (Scope.KEY, PLAYERS.digest),
        (Scope.TAG, "players"),
        (Scope.PREFIX, "/players"),
        (Scope.ALL, ""),
    ],
)
async def test_a_purge_ends_it_at_once(
    kitchen: Kitchen, scope: Scope, target: str, hard: bool
) -> None:
    await kitchen.cache.answer(PLAYERS)
    lease = lent(kitchen)
    kitchen.cache.purge(Purge(scope, target, kitchen.clock.now, hard=hard))
    assert not runs(lease, kitchen)
    if hard:
        assert kitchen.cache.lease(PLAYERS) is None
    else:
        assert lent(kitchen).outcome.word == "stale"


async def test_after_a_purge_of_something_else_it_is_lent_anew(kitchen: Kitchen) -> None:
    first = await kitchen.cache.answer(PLAYERS)
    lent(kitchen)
    kitchen.cache.purge(Purge(Scope.KEY, key("/clans").digest, kitchen.clock.now, hard=True))
    lease = lent(kitchen)
    assert (runs(lease, kitchen), lease.outcome.word) == (True, "hit")
    assert lease.outcome.entry == first.entry


async def test_a_newer_answer_of_another_process_ends_it(kitchen: Kitchen) -> None:
    entry = (await kitchen.cache.answer(PLAYERS)).entry
    lease = lent(kitchen)
    kitchen.cache.adopt(replace(entry, stored_at=entry.stored_at - 1, body=b"older"))
    assert lent(kitchen) is lease
    newer = replace(entry, stored_at=entry.stored_at + 1, body=b"newer")
    kitchen.cache.adopt(newer)
    assert not runs(lease, kitchen)
    assert lent(kitchen).outcome.entry is newer


async def test_a_newer_answer_of_the_upstream_ends_it(kitchen: Kitchen) -> None:
    entry = (await kitchen.cache.answer(PLAYERS)).entry
    lease = lent(kitchen)
    kitchen.upstream.answer = Answer(body=b'{"players":[1]}')
    kitchen.clock.now += 0.5
    kitchen.cache._fetches.refresh(PLAYERS, entry)
    await until(lambda: not runs(lease, kitchen))
    assert lent(kitchen).outcome.entry.body == b'{"players":[1]}'


async def test_in_grace_it_is_lent_for_a_tenth_of_a_second_and_refreshed_meanwhile(
    kitchen: Kitchen,
) -> None:
    await kitchen.cache.answer(PLAYERS)
    kitchen.clock.now += FRESH + 5.5
    lease = lent(kitchen)
    assert lease.outcome.judgement.verdict is Verdict.GRACE
    assert kitchen.clock.now < lease.until <= kitchen.clock.now + 0.1
    assert lent(kitchen) is lease
    kitchen.upstream.answer = Answer(body=b'{"players":[2]}')
    await until(lambda: not runs(lease, kitchen))
    assert lent(kitchen).outcome.entry.body == b'{"players":[2]}'


async def test_an_answer_that_may_be_renewed_early_is_looked_at_often(kitchen: Kitchen) -> None:
    kitchen.upstream.answer = Answer(seconds=5.0)
    await kitchen.cache.answer(PLAYERS)
    kitchen.clock.now += FRESH - 2
    lease = lent(kitchen)
    assert lent(kitchen) is lease
    kitchen.clock.now += 0.101
    assert lent(kitchen) is not lease


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    # Parts of a second that floating-point numbers have without error.
    st.integers(0, (FRESH + 40) * 1024),
    st.sampled_from([0.0, 0.125, 1.0]),
    st.integers(1, 1023),
)
async def test_it_never_outlives_what_was_judged(
    kitchen: Kitchen, age: int, fetch_seconds: float, later: int
) -> None:
    kitchen.clock.now = now = 1_000_000.0
    kitchen.forget_memory()
    stored_at = now - age / 1024
    entry = make_entry(PLAYERS.digest, stored_at=stored_at, fetch_seconds=fetch_seconds)
    kitchen.cache.memory.put(entry)
    lease = lent(kitchen)
    before = lease.outcome.judgement
    seconds = lease.until - now
    if before.verdict is Verdict.FRESH:
        assert seconds < before.ttl + 1e-6
    if before.ttl > EARLY * fetch_seconds:
        assert before.ttl - seconds > (EARLY - 1 / 4) * fetch_seconds - 1e-6
    kitchen.clock.now = now + seconds * later / 1024
    if seconds > 0:
        assert lent(kitchen) is lease
        after = kitchen.cache._judge(PLAYERS, entry)
        assert after.verdict is before.verdict
        assert (int(after.age), int(after.ttl)) == (int(before.age), int(before.ttl))
    kitchen.clock.now = stored_at + int(before.age) + 1
    assert lent(kitchen) is not lease

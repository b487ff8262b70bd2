"""The client against a server that refuses: repeats, their budget, and pauses."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from app.errors import UpstreamRefused
from app.upstream.breaker import BreakerPolicy
from app.upstream.client import UpstreamClient
from tests.upstream.conftest import ManualTime, Notes, client_of, players
from tests.upstream.scripted import ScriptedUpstream, reply

ADA = b'{"players":[{"id":"1"}]}'


@pytest.mark.parametrize("status", [502, 503, 504, 522])
async def test_a_refusal_is_tried_again(
    upstream: ScriptedUpstream,
    client: UpstreamClient,
    notes: Notes,
    manual_time: ManualTime,
    status: int,
) -> None:
    upstream.plays(reply(status, b"<html>"), reply(status, b"<html>"), reply(200, ADA))

    assert (await client.fetch(players())).body == ADA
    assert notes.answers == [("players", status), ("players", status), ("players", 200)]
    assert len(manual_time.slept) == 2
    assert client.status.ok


async def test_after_two_repeats_the_refusal_stands(
    upstream: ScriptedUpstream, client: UpstreamClient
) -> None:
    upstream.plays(reply(503))

    with pytest.raises(UpstreamRefused) as refusal:
        await client.fetch(players())

    assert (refusal.value.status, refusal.value.retry_after) == (503, None)
    assert len(upstream.requests) == 3


async def test_what_may_not_be_repeated_is_not(
    upstream: ScriptedUpstream, client: UpstreamClient
) -> None:
    upstream.plays(reply(503), reply(200))

    with pytest.raises(UpstreamRefused):
        await client.fetch(players(repeatable=False))
    assert len(upstream.requests) == 1


async def test_the_budget_ends_the_repeats_of_all_calls_together(
    upstream: ScriptedUpstream, stack: AsyncExitStack, manual_time: ManualTime
) -> None:
    never = BreakerPolicy(enough=1000)
    client = await stack.enter_async_context(
        client_of(upstream.base_url, manual_time=manual_time, breaker=never)
    )
    upstream.plays(reply(503))

    for _ in range(20):
        with pytest.raises(UpstreamRefused):
            await client.fetch(players())

    assert len(upstream.requests) == 20 + 10
    upstream.plays(*[reply()] * 10, reply(503), reply())
    for _ in range(11):
        assert (await client.fetch(players())).status == 200


async def test_a_429_that_fits_in_the_time_is_waited_out_and_repeated(
    upstream: ScriptedUpstream, client: UpstreamClient, manual_time: ManualTime
) -> None:
    upstream.plays(reply(429, retry_after="4"), reply(200, ADA))
    began = manual_time.now

    assert (await client.fetch(players())).body == ADA
    assert 4.0 <= manual_time.now - began <= 4.2


async def test_a_retry_after_may_be_a_date(
    upstream: ScriptedUpstream, client: UpstreamClient
) -> None:
    # The manual wall clock stands at 1 700 001 000: 14 November 2023, 22:30:00.
    upstream.plays(reply(429, retry_after="Tue, 14 Nov 2023 22:31:40 GMT"))

    with pytest.raises(UpstreamRefused) as refusal:
        await client.fetch(players())

    assert refusal.value.retry_after == 100.0
    assert client.status.paused_for == 100.0


async def test_while_it_asks_for_a_pause_nobody_calls(
    upstream: ScriptedUpstream, client: UpstreamClient, manual_time: ManualTime, notes: Notes
) -> None:
    upstream.plays(reply(503, retry_after="60"), reply(200, ADA))
    with pytest.raises(UpstreamRefused):
        await client.fetch(players())
    manual_time.now += 20

    with pytest.raises(UpstreamRefused) as refusal:
        await client.fetch(players(label="clans"))

    assert (refusal.value.status, refusal.value.retry_after) == (503, 40.0)
    assert len(upstream.requests) == 1
    assert notes.failures == [("clans", "refused")]
    assert client.status.paused_for == 40.0
    manual_time.now += 35
    assert (await client.fetch(players())).body == ADA
    assert manual_time.slept == [5.0]


async def test_a_429_without_a_time_is_not_repeated_but_quiets_everybody_a_little(
    upstream: ScriptedUpstream, client: UpstreamClient, manual_time: ManualTime
) -> None:
    upstream.plays(reply(429), reply(200))

    with pytest.raises(UpstreamRefused):
        await client.fetch(players())
    await client.fetch(players())

    assert manual_time.slept == [1.0]


async def test_a_call_that_queued_while_the_pause_began_obeys_it_too(
    upstream: ScriptedUpstream, stack: AsyncExitStack, manual_time: ManualTime
) -> None:
    client = await stack.enter_async_context(
        client_of(upstream.base_url, manual_time=manual_time, max_concurrency=1)
    )
    upstream.plays(reply(429, retry_after="30"), reply(200))

    outcomes = await asyncio.gather(
        *(client.fetch(players()) for _ in range(4)), return_exceptions=True
    )

    assert [type(outcome) for outcome in outcomes] == [UpstreamRefused] * 4
    assert len(upstream.requests) == 1
